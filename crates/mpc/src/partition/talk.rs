//! What both parties say on every connection before the first part. It crosses each other, and goes into the transcript: in the
//! malicious variant a word that was changed on its way ends the set-up, or the first part.

use subtle::ConstantTimeEq as _;

use crate::fault::Fault;
use crate::limits::MAX_PARTITIONS;
use crate::session::{Party, Session};
use crate::step::Step;

/// What a party brings to every connection of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Drawn once per job and kept, whatever happens.
    pub nonce: [u8; 32],
    /// Before the first greeting: how many this party's memory asks for; then what was agreed.
    pub parts: u32,
}

/// What follows from both greetings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub receiver_nonce: [u8; 32],
    pub sender_nonce: [u8; 32],
    pub parts: u32,
}

impl Agreed {
    /// What a party that goes on with a job hears must be what it heard the first time.
    pub fn same_as(&self, kept: &Self) -> Result<(), Fault> {
        let nonces = |it: &Self| [it.receiver_nonce, it.sender_nonce].concat();
        if bool::from(nonces(self).ct_eq(&nonces(kept))) && self.parts == kept.parts {
            return Ok(());
        }
        Err(Fault::PeerIncompatible {
            what: "it no longer has what it began this job with: begin a new job on both sides",
        })
    }
}

/// Both say what they bring; the larger number of parts is taken.
pub fn greet(session: &mut Session<'_>, ours: &Greeting) -> Result<Agreed, Fault> {
    let said = [&ours.nonce[..], &ours.parts.to_le_bytes()].concat();
    let message = exchange(session, Step::Greeting, &said)?;
    let wrong = |what| Fault::misbehaved(Step::Greeting, what);
    let (nonce, parts) = message.split_first_chunk::<32>().ok_or_else(|| wrong("it is short"))?;
    let parts = number(parts).ok_or_else(|| wrong("it is short"))?;
    for parts in [parts, ours.parts] {
        if parts == 0 || parts > MAX_PARTITIONS {
            return Err(wrong("the number of parts is out of bounds"));
        }
    }
    let parts = parts.max(ours.parts);
    Ok(match session.party() {
        Party::Receiver => Agreed { receiver_nonce: ours.nonce, sender_nonce: *nonce, parts },
        Party::Sender => Agreed { receiver_nonce: *nonce, sender_nonce: ours.nonce, parts },
    })
}

/// Both say which parts they have kept the results of; finished are those that both have.
pub fn compare(session: &mut Session<'_>, kept: &[bool]) -> Result<Vec<bool>, Fault> {
    let mut bits = vec![0u8; kept.len().div_ceil(8)];
    for (index, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
        bits[index / 8] |= 1 << (index % 8);
    }
    let theirs = exchange(session, Step::Finished, &bits)?;
    let bit = |index: usize| theirs.get(index / 8).is_some_and(|it| it >> (index % 8) & 1 == 1);
    Ok(kept.iter().enumerate().map(|(index, kept)| *kept && bit(index)).collect())
}

/// Both say that their parts are cut, and whether parts are to run over this connection: they do if both say so.
pub fn ready(session: &mut Session<'_>, works: bool) -> Result<bool, Fault> {
    match exchange(session, Step::Ready, &[u8::from(works)])?.as_slice() {
        [0] => Ok(false),
        [1] => Ok(works),
        _ => Err(Fault::misbehaved(Step::Ready, "it is neither yes nor no")),
    }
}

/// Says and hears messages of one length, and takes both in.
fn exchange(session: &mut Session<'_>, step: Step, ours: &[u8]) -> Result<Vec<u8>, Fault> {
    session.send(step, ours)?;
    let theirs = session.receive(step, ours.len())?;
    session.bind_both(step, ours, &theirs);
    Ok(theirs)
}

/// The number of the first four bytes.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
