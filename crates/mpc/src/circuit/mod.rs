//! An intersection whose result stays in shares: neither party learns which items are common, and only what the terms say is
//! opened: whether there are enough, how many there are, sums of values over them.
//!
//! ```text
//!   receiver X: one item per bin (cuckoo)                   sender Y: each item in its three bins
//!   string z_b per bin    ◄── programmed function (opprf): (y, b) → t_b ──►   random string t_b per bin
//!   shares of (z_b = t_b)  ◄──── gates ────►                                  one bit per bin
//!   shares of Σ bits, of Σ bit · value  ◄──── transfers ────►
//!              ◄─ ─ ─ ─ ─ shares of what is opened ─ ─ ─ ─ ─►
//! ```
//!
//! Circuit-PSI after PSTY19 (Pinkas, Schneider, Tkachenko, Yanai, eprint 2019/241) with the single programmable function of RS21 and
//! RR22. A value of the sender travels in the same programmed value, less a random number of its bin.
//!
//! Threats: **semi-honest**. A curious peer sees strings that are random to it, masked bits and masked numbers, and what is
//! opened; it learns the agreed sizes and nothing else. A peer that deviates can make results wrong, and may learn more. An
//! opened size or sum says what it says: over one common item a sum *is* its value, and a peer that may choose its items learns
//! about each one it asks for. [`Terms::least`] keeps small results shut (both then learn that they are small); how
//! often one may ask is for contracts.

mod cuckoo;
pub mod ideal;
mod join;
mod release;
mod total;

pub use join::Shared;
pub use total::{Closing, Opened, Opens, Totals, all};

use crate::bits::{Gates, Transfers};
use crate::fault::Fault;
use crate::limits::{MAX_PAYLOAD_BINS, MAX_SHARED_ITEMS, part_bits};
use crate::opprf;
use crate::psi::{self, Set};
use crate::session::{Party, Session, Setting};

/// To whom results are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learns {
    Receiver,
    Sender,
    Both,
}

/// Bins of a table for so many items, in however many parts they come: at least.
pub(crate) fn least_bins(items: u64) -> u64 {
    cuckoo::bins(items) as u64
}

impl Learns {
    fn entitles(self, party: Party) -> bool {
        match self {
            Self::Receiver => party == Party::Receiver,
            Self::Sender => party == Party::Sender,
            Self::Both => true,
        }
    }
}

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// Nothing: shares are for a computation that follows; with or without the sender's values.
    Shares { payload: bool },
    /// Only whether at least [`Terms::least`] items are common. Both learn it.
    Enough,
    /// How many items are common.
    Size,
    /// That, and sums of one or both parties' values over the common items.
    Sums { of_sender: bool, of_receiver: bool, bound: u64 },
}

/// What both parties agree on before a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Sizes that may be known: each party has at most that many items.
    pub receiver_items: u64,
    pub sender_items: u64,
    pub reveal: Reveal,
    pub learns: Learns,
    /// Nothing is opened where fewer items are common; both then learn that. Zero: no such test.
    pub least: u64,
    /// As in [`psi::Terms`].
    pub parts: u32,
}

/// What a party learnt. What it is not to learn is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether there are at least [`Terms::least`] common items; always, where that is zero.
    pub enough: bool,
    pub size: Option<u64>,
    pub sender_sum: Option<i64>,
    pub receiver_sum: Option<i64>,
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        let (kind, first, second, bound) = match self.reveal {
            Reveal::Shares { payload } => (0, payload, false, 0),
            Reveal::Enough => (1, false, false, 0),
            Reveal::Size => (2, false, false, 0),
            Reveal::Sums { of_sender, of_receiver, bound } => (3, of_sender, of_receiver, bound),
        };
        let learns = match self.learns {
            Learns::Receiver => 0,
            Learns::Sender => 1,
            Learns::Both => 2,
        };
        let mut bytes = b"psi-circuit".to_vec();
        bytes.extend_from_slice(&[kind, u8::from(first), u8::from(second), learns]);
        for number in [bound, self.receiver_items, self.sender_items, self.least] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend(psi::parts_bytes(self.parts));
        bytes
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        let most = MAX_SHARED_ITEMS;
        for count in [self.receiver_items, self.sender_items] {
            if count > most {
                let what = "items of one party of an intersection in shares";
                return Err(Fault::TooMany { what, count, most });
            }
        }
        psi::check_parts(self.parts)?;
        let (count, most) = (self.all_bins(), MAX_PAYLOAD_BINS);
        if self.payload() && count > most {
            let what = "bins of all parts of a job that sums up the sender's values";
            return Err(Fault::TooMany { what, count, most });
        }
        let most = u64::MAX >> 1;
        if self.least > most {
            return Err(Fault::TooMany { what: "the smallest result", count: self.least, most });
        }
        if let Reveal::Sums { bound, .. } = self.reveal {
            let largest = bound.checked_mul(self.most_common());
            if largest.is_none_or(|largest| largest > most) {
                let count = largest.unwrap_or(u64::MAX);
                return Err(Fault::TooMany { what: "the largest possible sum", count, most });
            }
        }
        Ok(())
    }

    /// As many items can be common at most.
    fn most_common(&self) -> u64 {
        self.receiver_items.min(self.sender_items)
    }

    fn bins(&self) -> usize {
        cuckoo::bins(self.receiver_items)
    }

    /// Bins of all parts.
    fn all_bins(&self) -> u64 {
        (self.bins() as u64).saturating_mul(self.parts.into())
    }

    /// Length of the strings that are compared: one is equal by chance in some bin of some part with probability 2^-40 at most.
    fn string_bits(&self) -> usize {
        (part_bits(1) + psi::log2_up(self.all_bins())) as usize
    }

    /// What of a block is a string: the lower half where the upper one is a share of a value.
    fn string_bytes(&self) -> u32 {
        if self.payload() {
            8
        } else {
            u32::try_from(self.string_bits().div_ceil(8)).unwrap_or(16).clamp(8, 16)
        }
    }

    /// Whether values of the sender are shared.
    fn payload(&self) -> bool {
        match self.reveal {
            Reveal::Shares { payload } => payload,
            Reveal::Enough | Reveal::Size => false,
            Reveal::Sums { of_sender, .. } => of_sender,
        }
    }

    /// The bound of the values that this party brings, if it brings any.
    fn values_of(&self, party: Party) -> Option<u64> {
        match self.reveal {
            Reveal::Shares { payload } => (payload && party == Party::Sender).then_some(u64::MAX),
            Reveal::Enough | Reveal::Size => None,
            Reveal::Sums { of_sender, of_receiver, bound } => {
                let brings = if party == Party::Sender { of_sender } else { of_receiver };
                brings.then_some(bound)
            }
        }
    }

    fn programmed(&self) -> opprf::Terms {
        opprf::Terms {
            queries: self.receiver_items,
            programmed: 3 * self.sender_items,
            value_bytes: if self.payload() { 16 } else { self.string_bytes() },
            parts: self.parts,
        }
    }
}

/// One party after set-up; any number of intersections may follow.
pub struct Circuit {
    terms: Terms,
    function: Function,
    gates: Gates,
    /// Transfers in the other direction, for values that the receiver knows.
    back: Option<Transfers>,
}

enum Function {
    Receiver(Box<opprf::Receiver>),
    Sender(Box<opprf::Sender>),
}

impl Circuit {
    /// One session from hello to result. `values` by place in the caller's list, where the terms sum up this party's values;
    /// else none. Numbers without sign are given as they are: a sum that fits has no larger ones.
    pub fn once(
        setting: Setting<'_>,
        terms: &Terms,
        set: &Set,
        values: &[i64],
    ) -> Result<Outcome, Fault> {
        terms.check()?;
        join::check_input(terms, setting.party, set, values)?;
        let mut session = Session::open(setting, &terms.bytes())?;
        let mut circuit = Self::set_up(&mut session, terms)?;
        let shared = circuit.join(&mut session, set, values)?;
        circuit.release(&mut session, &shared)
    }

    pub fn set_up(session: &mut Session<'_>, terms: &Terms) -> Result<Self, Fault> {
        terms.check()?;
        let programmed = terms.programmed();
        let function = match session.party() {
            Party::Receiver => {
                Function::Receiver(Box::new(opprf::Receiver::set_up(session, &programmed)?))
            }
            Party::Sender => {
                Function::Sender(Box::new(opprf::Sender::set_up(session, &programmed)?))
            }
        };
        let gates = Gates::set_up(session)?;
        let back = match terms.reveal {
            Reveal::Sums { .. } => Some(Transfers::set_up(session, Party::Receiver, b"back")?),
            Reveal::Shares { .. } | Reveal::Enough | Reveal::Size => None,
        };
        Ok(Self { terms: *terms, function, gates, back })
    }
}

#[cfg(test)]
mod tests;
