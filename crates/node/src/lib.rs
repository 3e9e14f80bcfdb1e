//! Everything of a node that touches the world: configuration, keys, objects, the evidence log's files, TLS.
//!
//! **Architecture invariant:** no rule of the data space is decided here. What a message, an outcome or a
//! timer changes is `tidm_space`'s answer; what a checkpoint is, `tidm_ledger`'s. This crate parses at
//! the door, makes durable what the core returned, and sends afterwards.
//!
//! How to read it: [`config`] is the first thing read, [`init`] the first thing run; [`keys`] and
//! [`objects`] are the two seams to secrets and bytes; [`evidence`] turns facts into a log that
//! outsiders verify; [`problem`] is how every failure reaches a person.

pub mod accounts;
pub mod api;
pub mod app;
pub mod attest;
pub mod clock;
pub mod config;
mod credentials;
pub mod evidence;
mod hold;
pub mod identity;
pub mod init;
pub mod jobs;
pub mod keys;
pub mod lang;
pub mod log;
pub mod net;
pub mod objects;
mod passwords;
pub mod people;
pub mod problem;
pub mod random;
pub mod rules;
pub mod search;
pub mod serve;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod test_profile;
pub mod tls;
