//! Who somebody is: DIDs, self-issued tokens, the space's member list.
//!
//! Never fetches a document and never holds a private key: the shell does both.

pub mod did;
pub mod member;
pub mod token;
