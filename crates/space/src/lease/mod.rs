//! The lease: time-bound permission for one use, granted by the one gate at the provider.
//!
//! ```text
//!              ask (gate says yes, one debit)            return
//!   · ─────────────────────────────────────► GRANTED ─────────────► RETURNED
//!                    renew (gate says yes again) └┘
//!                                               ├── expire ───────► EXPIRED
//!                                               └── revoke ───────► REVOKED
//! ```
//!
//! Promise, in words: *at most N releases*. The debit is in the same transaction as the lease; the key is
//! wrapped only after it is durable; the same nonce with the same key gets the same lease, uncharged.
//!
//! Threats held off here: replay (nonce), racing requests (one debit ledger, one transaction), a restored
//! disk at the consumer (nothing authoritative lies there), use after the end (the contract's tombstone is
//! asked first). Not held off: what a patched sandbox on the consumer's machine does with an open key
//! inside the lease (level E1 says so).

pub mod charge;
pub mod delivery;
pub mod machine;
pub mod message;
pub mod privacy;
pub mod renewal;
pub mod rewrap;
pub mod seen;
pub mod state;

#[cfg(test)]
mod tests;
