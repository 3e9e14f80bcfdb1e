//! A job of more than two parties: the leader's process holds one connection to each member's, and learns which of its rows all have.
//!
//! ```text
//!   leader: read the list ──► call each member, greet ──► members in turn (`tidm_mpc::many`) ──► rows ──► a last word to all
//!   member: listen, read the list ──► greet ──► its shares behind a programmed function ──► waits for the last word
//! ```
//!
//! In one run, in memory, and once: nothing of it is kept, so nothing of it can be run again with other items. A connection that is
//! lost after the greeting ends the job for all, and the leader's failure says with which member. Lists larger than [`limits`](super::limits)
//! say are refused with the order.
//!
//! Threats: as in `tidm_mpc::many`, against curious parties. Public keys of members come with the order, from whoever verified whose
//! they are. Never written anywhere: an item, a key of a list, a member's secret.

pub mod local;
mod order;
mod run;

pub use order::{KeySeed, Member, Order, Side, memory};
pub use run::Opened;
