//! The jailed worker in which uses of data run, and the host side that starts it.
//!
//! ```text
//!   host (node)                                worker (own process, one per use)
//!   ───────────                                ─────────────────────────────────
//!   Job + read-only descriptors ─ socket ────► rlimits, namespaces, landlock, seccomp
//!                               ◄──── pipe ── Hello { jail report, KEM public key }
//!   Keys { wrapped data key }   ─ socket ────► open sealed tables, plan, gate, run
//!                               ◄──── pipe ── Result (Arrow IPC) | Refused | Failed
//! ```
//!
//! **Architecture invariant:** a worker never holds a node key and never reaches the network; it
//! sees only the descriptors it was handed. What the SQL engine itself promises (timeouts, memory
//! limits, "read only") is not relied on: the process is killed from outside and jailed by the
//! kernel, and every layer that could not be applied is reported, never silently absent.
//!
//! **Architecture invariant:** no engine text and no cell value leaves in a refusal; a
//! [`refusal::Refusal`] names a construct of the query text at most.
//!
//! How to read it: [`host`] starts and kills, [`worker`] is the other end, [`jail`] shuts the
//! doors, [`plan`] decides which statements exist at all, [`gate`] decides what may come out.
//!
//! What is *not* promised: a query's running time is observable, and many legal queries can be
//! compared with each other (differencing), except under terms that ask for [`noise`]. What answers with noise
//! cost altogether is counted at the provider's gate, outside this crate.

pub mod frame;
pub mod gate;
pub mod host;
pub mod jail;
pub mod job;
pub mod limits;
pub mod noise;
pub mod plan;
pub mod refusal;
pub mod result;
pub mod trial;
pub mod worker;

mod engine;
mod files;
mod scrub;
mod sealed;
