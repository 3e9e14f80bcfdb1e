//! What others see of this node: DSP, our profile, documents, data, the evidence log.
//!
//! Never a rule of the data space: handlers authenticate, parse, run one unit of work and write the answer.

pub mod answer;
pub mod arrivals;
pub mod beginning;
pub mod budget;
pub mod catalog;
pub mod changes;
pub mod data;
pub mod dcp;
pub mod dsp;
mod filter;
pub mod flight;
mod gzip;
pub mod kas;
pub mod log;
pub mod objects;
pub mod pace;
pub mod profile;
pub mod psi;
mod psi_table;
pub mod public;
pub mod range;
pub mod shares;
pub mod signaling;
pub mod tc609;
pub mod watch;
