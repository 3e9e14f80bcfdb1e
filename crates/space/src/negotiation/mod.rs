//! Contract negotiation: the Dataspace Protocol's state machine (DSP 2025-1 §7), without IO.
//!
//! ```text
//!            request C           offer P
//!   ·─────────────────► REQUESTED ◄──────► OFFERED ◄─────────────·
//!                          │      request C   │       offer P
//!                  agree P │                  │ accept C
//!                          ▼      agree P     ▼
//!                        AGREED ◄───────── ACCEPTED
//!                verify C  │
//!                          ▼    finalize P
//!                       VERIFIED ─────────► FINALIZED     any open state ── terminate ──► TERMINATED
//! ```
//!
//! **Architecture invariant:** both roles run the same [`machine::next`]. The sender applies it on the
//! ACK, the receiver on receipt ("transitions to a state in response to an acknowledged Message").
//!
//! Deviations from the specification: termination is taken from either side in every open state, as the
//! prose says ("MAY be sent at any state"), where the figure restricts the sender; a message that implies
//! that ours was received counts as its acknowledgement, since an ACK may be overtaken.

pub mod machine;
pub mod message;
pub mod state;

#[cfg(test)]
mod tests;
