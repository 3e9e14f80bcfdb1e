//! Transfer process: the Dataspace Protocol's state machine (DSP 2025-1 §9), without IO.
//!
//! ```text
//!        request C             start P                complete C/P
//!   · ────────────► REQUESTED ─────────► STARTED ─────────────────► COMPLETED
//!                       │                 │    ▲
//!                       │     suspend C/P │    │ start C/P
//!                       │                 ▼    │
//!                       │               SUSPENDED          any open state ── terminate C/P ──► TERMINATED
//!                       └──────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! **Architecture invariant:** both roles run the same [`machine::next`]; see [`crate::negotiation`].

pub mod machine;
pub mod message;
pub mod state;

#[cfg(test)]
mod tests;
