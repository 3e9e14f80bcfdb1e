//! Sets larger than memory: both parties split theirs by the same keyed hash into parts, and parts are independent runs.
//!
//! ```text
//!   each connection    hello (job, terms)  ─  greeting: a nonce of each, parts wanted  ─  parts finished, by both
//!                      ─  ready  ─  one set-up  ─  as many parts as the receiver names, each one run
//!   each part          part: this one, and which comes next ──►
//!                      RR22, or the same by Diffie and Hellman
//!                      ◄── kept: the sender's journal has it
//!                      kept: the receiver's has it ──►
//! ```
//!
//! Every connection of a job begins alike, so it does not matter which process of a party takes it: any number may work at a
//! time, a broken one is replaced, and a party that was killed begins again and goes on with what is not finished. The
//! nonces are drawn once per job and party and never change, so the parts are cut alike after a crash; who lost its nonce
//! lost the job. A part may be run twice: the result is the same, and a part counts as finished when *both* have kept it.
//!
//! The peer sees the number of parts, which of them run when, and their size, which is the same for all: the mean plus what the
//! fullest part of a random assignment needs with probability 1 − 2^-40 (`okvs::fullest`). The number of parts goes into the terms of
//! each, so that masks, stores and strings are long enough for all parts together to go wrong with probability 2^-40. How full a part really is does
//! not show, for runs fill up. The key of the cut holds a nonce of each, so nobody chooses items that meet in one part.
//! Equal items fall into the same part, so duplicates are found there ([`part::Distinct`]).
//!
//! What waits on a disk is encrypted and authenticated under a key that the caller keeps in memory ([`sealed`]). Files,
//! journals and processes are the caller's ([`run::Parts`]); the twin in memory is [`memory`].

pub mod cut;
pub mod labels;
pub mod memory;
pub mod part;
pub mod plan;
pub mod run;
pub mod sealed;
pub mod shares;
pub mod talk;

use crate::psi::Terms;
use crate::session::SessionId;
use part::Equals;

/// What both parties agreed on, wherever they did. Compared at every hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Never used for another job of the two.
    pub id: [u8; 32],
    pub whole: Terms,
    pub equals: Equals,
    /// A digest of how keys become items and of whatever else must be the same.
    pub rule: [u8; 32],
}

impl Job {
    pub fn session(&self) -> SessionId {
        SessionId(self.id)
    }

    /// What a session of this job is opened under.
    pub fn bytes(&self) -> Vec<u8> {
        let equals = [match self.equals {
            Equals::Refuse => 0,
            Equals::First => 1,
            Equals::Multiply => 2,
        }];
        [b"in parts 3".as_slice(), &equals, &self.rule, &self.whole.bytes()].concat()
    }
}

#[cfg(test)]
mod tests;
