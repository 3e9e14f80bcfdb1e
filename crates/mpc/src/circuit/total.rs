//! Totals over several intersections: shares are added up, and one answer is opened, once, over all of them.
//!
//! A share of a total is a random number to whoever holds it; only [`Circuit::close`] opens anything. Where small or telling results
//! are to stay shut, the test comes first and its one bit is all that is opened then. Semi-honest, as everything in [`super`]: a peer
//! that adds something to its share shifts the total, and nothing here notices.

use super::{Circuit, Learns, Reveal, Shared};
use crate::fault::Fault;
use crate::session::{Party, Session};
use crate::step::Step;

/// One party's shares, mod 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub size: u64,
    pub sum: u64,
}

impl Totals {
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        let (size, sum) = (self.size.wrapping_add(more.size), self.sum.wrapping_add(more.sum));
        Self { size, sum }
    }
}

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    Size,
    /// The sum, and not the size. `bound` is the largest value by size.
    Sum {
        bound: u64,
    },
    /// Whether so many are common.
    AtLeast(u64),
}

/// What both parties agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    pub opens: Opens,
    pub learns: Learns,
    /// So many can be common at most.
    pub common: u64,
    /// A size or a sum is opened only where so many are common, and no more than `most`; both learn whether it is so. It is no
    /// test of [`Opens::AtLeast`], whose bit is the whole answer.
    pub least: u64,
    pub most: u64,
}

/// What a party learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Whether the size was one at which results are opened.
    pub within: bool,
    pub size: Option<u64>,
    pub sum: Option<i64>,
    pub at_least: Option<bool>,
}

impl Closing {
    pub fn bytes(&self) -> Vec<u8> {
        let (kind, number) = match self.opens {
            Opens::Size => (0, 0),
            Opens::Sum { bound } => (1, bound),
            Opens::AtLeast(least) => (2, least),
        };
        let learns = match self.learns {
            Learns::Receiver => 0,
            Learns::Sender => 1,
            Learns::Both => 2,
        };
        let mut bytes = vec![kind, learns];
        for number in [number, self.common, self.least, self.most] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Refuses what the arithmetic does not carry.
    pub fn check(&self) -> Result<(), Fault> {
        let most = u64::MAX >> 1;
        let largest = match self.opens {
            Opens::Size => 0,
            Opens::Sum { bound } => bound.saturating_mul(self.common),
            Opens::AtLeast(least) => least,
        };
        for (what, count) in [
            ("the largest possible sum, or the number asked about", largest),
            ("the smallest result", self.least),
            ("items that can be common", self.common),
        ] {
            if count > most {
                return Err(Fault::TooMany { what, count, most });
            }
        }
        Ok(())
    }
}

impl Circuit {
    /// This party's shares of one intersection: of its size and, where the terms sum up one party's values, of their sum.
    pub fn total(&mut self, session: &mut Session<'_>, shared: &Shared) -> Result<Totals, Fault> {
        let size = self.size(session, shared)?;
        let sum = match self.terms.reveal {
            Reveal::Sums { of_sender: true, of_receiver: false, .. } => {
                self.sender_sum(session, shared)?
            }
            Reveal::Sums { of_sender: false, of_receiver: true, .. } => {
                self.receiver_sum(session, shared)?
            }
            Reveal::Size => 0,
            Reveal::Shares { .. } | Reveal::Enough | Reveal::Sums { .. } => {
                return Err(Fault::ApiMisuse("totals are of sizes, or of one party's values"));
            }
        };
        Ok(Totals { size, sum })
    }

    /// Opens the answer. Repeated over the same totals it opens the same.
    pub fn close(
        &mut self,
        session: &mut Session<'_>,
        totals: &Totals,
        closing: &Closing,
    ) -> Result<Opened, Fault> {
        closing.check()?;
        let mut opened = Opened { within: true, ..Opened::default() };
        if let Opens::AtLeast(least) = closing.opens {
            let bit = self.gates.at_least(session, totals.size, least)?;
            opened.at_least = self.open_bit(session, bit, closing.learns)?;
            return Ok(opened);
        }
        if !self.within_bounds(session, totals, closing)? {
            return Ok(Opened::default());
        }
        match closing.opens {
            Opens::Size => {
                let size = self.open(session, &[totals.size])?.first().copied();
                let possible = closing.least..=closing.most.min(closing.common);
                if size.is_some_and(|size| !possible.contains(&size)) {
                    let what = "a size is opened that cannot be";
                    return Err(Fault::misbehaved(Step::Opening, what));
                }
                opened.size = size;
            }
            Opens::Sum { bound } => {
                let sum = self.open(session, &[totals.sum])?.first().map(|sum| sum.cast_signed());
                let most = bound.saturating_mul(closing.common.min(closing.most));
                if sum.is_some_and(|sum| sum.unsigned_abs() > most) {
                    let what = "a sum is beyond what its values allow";
                    return Err(Fault::misbehaved(Step::Opening, what));
                }
                opened.sum = sum;
            }
            Opens::AtLeast(_) => {}
        }
        Ok(opened)
    }

    /// Whether the size is one at which results are opened: one bit, which both learn, whichever bound it was that failed.
    fn within_bounds(
        &mut self,
        session: &mut Session<'_>,
        totals: &Totals,
        closing: &Closing,
    ) -> Result<bool, Fault> {
        let (has_least, has_most) = (closing.least > 0, closing.most < closing.common);
        // One party turns a shared bit over for both.
        let turned = u128::from(session.party() == Party::Sender);
        let mut bit = turned;
        if has_least {
            bit = self.gates.at_least(session, totals.size, closing.least)?;
        }
        if has_most {
            let above =
                self.gates.at_least(session, totals.size, closing.most.saturating_add(1))?;
            bit = match self.gates.and(session, &[bit & 1], &[(above ^ turned) & 1])?.first() {
                Some(both) => *both,
                None => return Err(Fault::ApiMisuse("a gate without a result")),
            };
        }
        if !has_least && !has_most {
            return Ok(true);
        }
        Ok(self.open_bit(session, bit, Learns::Both)? == Some(true))
    }
}

/// Of shares of several intersections.
pub fn all(totals: impl IntoIterator<Item = Totals>) -> Totals {
    totals.into_iter().fold(Totals::default(), Totals::plus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_without_overflow() {
        let one = Totals { size: u64::MAX, sum: 5 };
        let other = Totals { size: 2, sum: u64::MAX };
        assert_eq!(all([one, other]), Totals { size: 1, sum: 4 });
    }
}
