//! The data space itself: who may use what, under which terms, and what follows from each message.
//!
//! **Architecture invariant:** nothing here does IO, is `async`, reads a clock, draws randomness or
//! allocates an id. Time, ids and what the store holds are arguments; what must be saved, logged and
//! sent is the return value ([`engine::commit::Commit`]).
//!
//! **Architecture invariant:** domain types do not derive `Serialize`. Bytes of peers are parsed in
//! [`wire`], once, at the door; rows of the store are the node's business.
//!
//! How to read it: [`engine`] is the way in; [`negotiation`], [`transfer`] and [`lease`] are the three
//! protocols, all in one shape (message, state, machine, tests, table); [`policy`] and [`catalog`] are
//! what they talk about; [`evidence`] is what they leave behind.

pub mod approval;
pub mod catalog;
pub mod contract;
pub mod dataflow;
pub mod engine;
pub mod evidence;
pub mod fault;
pub mod id;
pub mod identity;
pub mod lang;
pub mod lease;
pub mod limits;
pub mod negotiation;
pub mod people;
pub mod policy;
pub mod psi;
pub mod share;
pub mod tc609;
pub mod time;
pub mod transfer;
pub mod wire;
