//! From shares to what may be known: sums in shares, and shares of them to whoever is entitled.
//!
//! Never opens a bit of a bin, nor anything before the size was found large enough where that is asked for.

use super::{Circuit, Learns, Outcome, Reveal, Shared};
use crate::fault::Fault;
use crate::session::{Party, Session};
use crate::step::Step;

impl Circuit {
    /// Opens what the terms say.
    pub fn release(
        &mut self,
        session: &mut Session<'_>,
        shared: &Shared,
    ) -> Result<Outcome, Fault> {
        if matches!(self.terms.reveal, Reveal::Shares { .. }) {
            return Err(Fault::ApiMisuse("these terms open nothing"));
        }
        let size = self.size(session, shared)?;
        let enough = self.terms.least == 0 || self.enough(session, size)?;
        let mut outcome = Outcome { enough, ..Outcome::default() };
        let Reveal::Sums { of_sender, of_receiver, bound } = self.terms.reveal else {
            if enough && self.terms.reveal == Reveal::Size {
                let opened = self.open(session, &[size])?;
                outcome.size = opened.first().map(|size| self.within(*size)).transpose()?;
            }
            return Ok(outcome);
        };
        if !enough {
            return Ok(outcome);
        }
        let mut shares = vec![size];
        if of_sender {
            shares.push(self.sender_sum(session, shared)?);
        }
        if of_receiver {
            shares.push(self.receiver_sum(session, shared)?);
        }
        let opened = self.open(session, &shares)?;
        let Some((size, sums)) = opened.split_first() else { return Ok(outcome) };
        let size = self.within(*size)?;
        outcome.size = Some(size);
        let mut sums = sums.iter().map(|sum| sum.cast_signed());
        outcome.sender_sum = if of_sender { sums.next() } else { None };
        outcome.receiver_sum = if of_receiver { sums.next() } else { None };
        let far = |sum: i64| sum.unsigned_abs() > bound.saturating_mul(size);
        if [outcome.sender_sum, outcome.receiver_sum].into_iter().flatten().any(far) {
            return Err(Fault::misbehaved(Step::Opening, "a sum is beyond what its values allow"));
        }
        Ok(outcome)
    }

    /// A share of the number of common items.
    pub(super) fn size(
        &mut self,
        session: &mut Session<'_>,
        shared: &Shared,
    ) -> Result<u64, Fault> {
        let ones = vec![1; shared.bins];
        Ok(total(&self.gates.transfers().products(session, &shared.matches, &ones)?))
    }

    /// A share of the sum of the sender's values: both have a share of each, each under a bit of both, so one direction of
    /// transfers each.
    pub(super) fn sender_sum(
        &mut self,
        session: &mut Session<'_>,
        shared: &Shared,
    ) -> Result<u64, Fault> {
        let back = self.back.as_mut().ok_or(Fault::ApiMisuse("sums are set up"))?;
        let payload = shared.payload.as_ref().ok_or(Fault::ApiMisuse("values are shared"))?;
        let matches = &shared.matches;
        let forth = self.gates.transfers().products(session, matches, payload)?;
        Ok(total(&forth).wrapping_add(total(&back.products(session, matches, payload)?)))
    }

    /// A share of the sum of the receiver's values.
    pub(super) fn receiver_sum(
        &mut self,
        session: &mut Session<'_>,
        shared: &Shared,
    ) -> Result<u64, Fault> {
        let back = self.back.as_mut().ok_or(Fault::ApiMisuse("sums are set up"))?;
        let nothing = vec![0; shared.bins];
        let own = shared.own.as_ref().unwrap_or(&nothing);
        Ok(total(&back.products(session, &shared.matches, own)?))
    }

    /// Whether the shared size is at least what the terms ask for. Both learn it, as both act on it.
    fn enough(&mut self, session: &mut Session<'_>, size: u64) -> Result<bool, Fault> {
        let ours = self.gates.at_least(session, size, self.terms.least)?;
        Ok(self.open_bit(session, ours, Learns::Both)? == Some(true))
    }

    /// A shared bit, for a party that is entitled to it; nothing for another.
    pub(super) fn open_bit(
        &self,
        session: &mut Session<'_>,
        share: u128,
        learns: Learns,
    ) -> Result<Option<bool>, Fault> {
        let (us, ours) = (session.party(), u8::from(share & 1 == 1));
        let tells = learns.entitles(us.peer());
        if us == Party::Receiver && tells {
            session.send(Step::Opening, &[ours])?;
        }
        let opened = match learns.entitles(us) {
            false => None,
            true => match session.receive(Step::Opening, 1)?.first() {
                Some(theirs) if *theirs < 2 => Some(ours ^ theirs == 1),
                _ => return Err(Fault::misbehaved(Step::Opening, "a share of a bit is no bit")),
            },
        };
        if us == Party::Sender && tells {
            session.send(Step::Opening, &[ours])?;
        }
        Ok(opened)
    }

    /// The sums of both parties' shares, for a party that is entitled to them; nothing for another.
    pub(super) fn open(
        &self,
        session: &mut Session<'_>,
        shares: &[u64],
    ) -> Result<Vec<u64>, Fault> {
        let (us, length) = (session.party(), 8 * shares.len());
        let message: Vec<u8> = shares.iter().flat_map(|share| share.to_le_bytes()).collect();
        let tells = self.terms.learns.entitles(us.peer());
        if us == Party::Receiver && tells {
            session.send(Step::Opening, &message)?;
        }
        let mut opened = Vec::new();
        if self.terms.learns.entitles(us) {
            let theirs = session.receive(Step::Opening, length)?;
            opened.extend(theirs.chunks_exact(8).zip(shares).map(|(bytes, share)| {
                let mut theirs = [0; 8];
                theirs.copy_from_slice(bytes);
                share.wrapping_add(u64::from_le_bytes(theirs))
            }));
        }
        if us == Party::Sender && tells {
            session.send(Step::Opening, &message)?;
        }
        Ok(opened)
    }

    /// A size that can be.
    fn within(&self, size: u64) -> Result<u64, Fault> {
        if size > self.terms.most_common() || size < self.terms.least {
            return Err(Fault::misbehaved(Step::Opening, "a size is opened that cannot be"));
        }
        Ok(size)
    }
}

fn total(shares: &[u64]) -> u64 {
    shares.iter().fold(0, |sum, share| sum.wrapping_add(*share))
}
