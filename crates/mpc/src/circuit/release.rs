//! From shares to what may be known: sums in shares, and shares of them to whoever is entitled.
//!
//! Never opens a bit of a bin, nor anything before the size was found large enough where that is asked for.

use super::{Circuit, Outcome, Reveal, Shared};
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
        let matches = &shared.matches;
        let size =
            total(&self.gates.transfers().products(session, matches, &vec![1; shared.bins])?);
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
        let (mut shares, nothing) = (vec![size], vec![0; shared.bins]);
        let back = self.back.as_mut().ok_or(Fault::ApiMisuse("sums are set up"))?;
        if of_sender {
            // Both parties' shares of each value, each under a bit of both: one direction of transfers each.
            let payload = shared.payload.as_ref().ok_or(Fault::ApiMisuse("values are shared"))?;
            let forth = self.gates.transfers().products(session, matches, payload)?;
            shares.push(
                total(&forth).wrapping_add(total(&back.products(session, matches, payload)?)),
            );
        }
        if of_receiver {
            let own = shared.own.as_ref().unwrap_or(&nothing);
            shares.push(total(&back.products(session, matches, own)?));
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

    /// Whether the shared size is at least what the terms ask for. Both learn it, as both act on it.
    fn enough(&mut self, session: &mut Session<'_>, size: u64) -> Result<bool, Fault> {
        let ours = self.gates.at_least(session, size, self.terms.least)?;
        let ours = u8::from(ours == 1);
        if session.party() == Party::Receiver {
            session.send(Step::Opening, &[ours])?;
        }
        let theirs = session.receive(Step::Opening, 1)?;
        if session.party() == Party::Sender {
            session.send(Step::Opening, &[ours])?;
        }
        match theirs.first() {
            Some(theirs) if *theirs < 2 => Ok(ours ^ theirs == 1),
            _ => Err(Fault::misbehaved(Step::Opening, "a share of a bit is no bit")),
        }
    }

    /// The sums of both parties' shares, for a party that is entitled to them; nothing for another.
    fn open(&self, session: &mut Session<'_>, shares: &[u64]) -> Result<Vec<u64>, Fault> {
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
