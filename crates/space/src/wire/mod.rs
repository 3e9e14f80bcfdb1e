//! Wire formats: bytes of peers to checked domain types and back. The only serde in this crate.
//!
//! Never decides anything: a message that parses may still be refused by a machine.

pub mod dsp;
pub mod odrl;
pub mod tidm;
