//! Deterministic simulation of a data space: several nodes on one thread, under a seeded world that loses messages,
//! kills processes, turns clocks and sets disks back, and with participants that break the rules.
//!
//! **Architecture invariant:** nothing here decides what the data space does: `tidm_space::engine` does, and what is
//! tested is that same code. Bytes travel between nodes as they do over HTTP; rows are kept as they are on disk.
//!
//! **Architecture invariant:** a world depends on its seed alone. `replay SEED` shows what `run` saw.
//!
//! How to read it: [`happening`] lists what can happen, [`strategy`] picks it, [`world`] runs it through [`work`],
//! [`serve`], [`calls`] and [`jobs`]; data planes of their own are in [`signaling`] and [`flows`], credentials in
//! [`issuer`] and [`members`]; [`reference`] writes down what should be true, and [`invariants`] compares.
//!
//! Known sources of nondeterminism: none. Maps are ordered, ids count, keys follow from a node's number.

pub mod bug;
mod calls;
pub mod clock;
pub mod coverage;
pub mod credentials;
pub mod dice;
pub mod evidence;
pub mod flows;
mod happen;
pub mod happening;
pub mod invariants;
pub mod issuer;
mod jobs;
pub mod keys;
pub mod log;
pub mod members;
pub mod net;
pub mod node;
pub mod reference;
mod serve;
pub mod signaling;
pub mod stage;
pub mod store;
pub mod strategy;
pub mod traitors;
pub mod work;
pub mod world;
