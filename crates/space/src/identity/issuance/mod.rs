//! Credential issuance at the issuer: a holder asks, somebody decides, the wallet gets it (DCP §6).
//!
//! ```text
//!           request            approve                    delivered
//!   · ───────────────► RECEIVED ───────► APPROVED ────────────────► ISSUED
//!                          │                 └── given up ──► UNDELIVERED
//!                          └── reject ─► REFUSED ── delivered ──► REJECTED
//!                                            └── given up ──────► REJECTED
//! ```
//!
//! To the holder this is RECEIVED (not decided or not delivered yet), ISSUED or REJECTED (DCP §6.8.1).
//! Never issues twice for one request: the credentials are signed in the same transaction as the approval
//! and the very same message is sent until the wallet takes it.
//!
//! Threats held off here: a request that is replayed (the token's `jti`), one for somebody else (the
//! credential is about the DID that signed the token, nobody else), a wallet that never answers (bounded
//! tries). Not held off: an operator who invites the wrong organisation.

pub mod decide;
pub mod machine;
pub mod message;
pub mod state;
pub mod wallet;

#[cfg(test)]
mod tests;
