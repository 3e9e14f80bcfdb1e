//! Data flow: the state machine of Data Plane Signaling 1.0-RC3, without IO.
//!
//! A *control plane* negotiates and speaks DSP, a *data plane* moves the bytes. A node is both, and either
//! half may be replaced by another program that speaks this protocol.
//!
//! ```text
//!        prepare C           prepared D
//!   · ───────────► PREPARING ──────────► PREPARED ──────────────┐ started C (consumer)
//!   │                                       │ start C           ▼
//!   └────────────────────────────────► STARTING ───────────► STARTED ────────────► COMPLETED
//!        start C                             started D        │    ▲  completed C/D
//!                                                   suspend C │    │ resume C
//!                                                             ▼    │
//!                                                           SUSPENDED      any open state ── terminate C ──► TERMINATED
//! ```
//!
//! C is said by the control plane, D by the data plane. `errored` (D) changes no state: the control plane
//! decides what follows. A synchronous answer is the data plane saying `prepared` or `started` at once.
//!
//! **Architecture invariant:** both planes run the same [`machine::table`]; who is which is in the
//! [`state::Flow`].

pub mod machine;
pub mod message;
pub mod registration;
pub mod state;

#[cfg(test)]
mod tests;
