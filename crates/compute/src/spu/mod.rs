//! Peers that run SecretFlow's spu.
