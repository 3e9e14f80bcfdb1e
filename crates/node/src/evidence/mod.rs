//! The evidence log of a node: facts in, a log that outsiders can verify out.
//!
//! ```text
//! append ─► queue ─► [tiles durable] ─► [row moved by compare-and-set] ─► answered: "durable"
//!                                            │ every interval
//!                                            ▼
//!                                     sign the row's head ─► custodians cosign ─► publish `checkpoint`
//!                                        "signed"              "witnessed"
//! ```
//!
//! Three states, never confused ([`sequencer::Progress`]): *durable* (in the log after any crash), *signed*
//! (under a checkpoint), *witnessed* (a quorum of custodians saw that checkpoint).
//!
//! Threat model: the operator of this node may want to change the past; custodians, mirrors and every
//! holder of a receipt would see it. The machine may stop anywhere: tiles are durable before the row
//! moves, the row before anything is signed, so whatever was signed can be served again. A second
//! sequencer is fenced out. A node restored from an old backup does not start ([`start`]).
//!
//! Never here: what an entry means. Entries are opaque bytes.

pub mod custodians;
pub mod limits;
pub mod publisher;
pub mod reader;
pub mod row;
pub mod sequencer;
pub mod start;
pub mod tiles;
pub mod witness;

#[cfg(test)]
mod tests;
