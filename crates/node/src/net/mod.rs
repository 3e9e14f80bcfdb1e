//! How this node reaches others: their documents, our tokens, the delivery of what the outbox owes.
//!
//! Never decides what a peer's answer means for a negotiation: [`tidm_space::engine`] does.

pub mod auth;
pub mod certificates;
pub mod claims;
pub mod client;
pub mod development;
pub mod directory;
pub mod dispatch;
pub mod journal;
pub mod planes;
pub mod renewal;
pub mod resolve;
