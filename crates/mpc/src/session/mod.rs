//! One run of a protocol between two parties, bound to one identifier.
//!
//! ```text
//!   First:  Hello(version, terms, nonce) ─────►           both: binding = H(id, hello of First, hello of Second)
//!   Second: ◄───────────────────── Hello(version, terms, nonce)
//! ```
//!
//! Every hash, permutation and challenge of the run is derived from the binding: nothing of one session means anything in
//! another, even with the same sets and the same peer. Identifiers or terms that differ in one byte end the session here.
//!
//! What an attacker is denied: replaying another session's messages (binding), running other sizes or another variant
//! than agreed (terms are compared), choosing the hash functions so that chosen items collide (the binding holds a nonce of
//! each). What this module must never do: look into items, or let a message pass that is not counted.

mod meter;

pub use meter::{Meter, Traffic};

use crate::channel::{Channel, HEADER_BYTES};
use crate::fault::Fault;
use crate::hash::{derive, domain};
use crate::random::{Seed, Stream};
use crate::step::Step;

/// Which of the two a party is. In an intersection the receiver learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Receiver,
    Sender,
}

impl Party {
    fn code(self) -> u8 {
        match self {
            Self::Receiver => 1,
            Self::Sender => 2,
        }
    }

    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Receiver => Self::Sender,
            Self::Sender => Self::Receiver,
        }
    }
}

/// The identifier both got from whoever arranged the session, unique among all sessions of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(pub [u8; 32]);

/// What the caller wants to know while a session runs, and how it stops one.
pub trait Watch {
    /// Asked before each message and between batches of work.
    fn cancelled(&self) -> bool {
        false
    }

    /// A message of this many bytes, header included, left at this step; also of sessions that fail later.
    fn sent(&self, _step: Step, _bytes: u64) {}

    /// A message of this many bytes came.
    fn received(&self, _step: Step, _bytes: u64) {}

    /// `done` of `of` units of the work at this step are finished.
    fn progress(&self, _step: Step, _done: u64, _of: u64) {}
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// What a party brings to a session.
pub struct Setting<'a> {
    pub channel: &'a mut dyn Channel,
    pub party: Party,
    pub id: SessionId,
    /// The source of all of this party's random choices.
    pub seed: Seed,
    pub watch: &'a dyn Watch,
}

/// A session after its hellos.
pub struct Session<'a> {
    channel: &'a mut dyn Channel,
    party: Party,
    seed: Seed,
    watch: &'a dyn Watch,
    binding: [u8; 32],
    streams: u64,
    transcript: blake3::Hasher,
    /// Whether the transcript takes in every message, or only those before challenges.
    binds_all: bool,
    meter: Meter,
}

const MAGIC: [u8; 4] = *b"tmpc";
const VERSION: u8 = 2;
/// Magic, version, party, digest of identifier and terms, nonce.
const HELLO_BYTES: usize = 4 + 1 + 1 + 32 + 32;

impl<'a> Session<'a> {
    /// Says hello and hears it. `terms` is whatever both must agree on.
    pub fn open(setting: Setting<'a>, terms: &[u8]) -> Result<Self, Fault> {
        let Setting { channel, party, id, seed, watch } = setting;
        let nonce = seed.child(b"nonce").stream().bytes32();
        let digest = derive(domain::SESSION, &[b"terms", &id.0, terms]);
        let ours = hello(party, &digest, &nonce);
        let mut session = Self {
            channel,
            party,
            seed,
            watch,
            binding: [0; 32],
            streams: 0,
            transcript: blake3::Hasher::new_derive_key(domain::TRANSCRIPT),
            binds_all: false,
            meter: Meter::default(),
        };
        session.send(Step::Hello, &ours)?;
        let theirs = session.receive(Step::Hello, HELLO_BYTES)?;
        admit(&theirs, party.peer(), &digest)?;
        let (first, second) = match party {
            Party::Receiver => (ours.as_slice(), theirs.as_slice()),
            Party::Sender => (theirs.as_slice(), ours.as_slice()),
        };
        session.binding = derive(domain::SESSION, &[&id.0, first, second]);
        // The two hellos cross each other, so the transcript begins with the binding, which holds both in one order.
        session.transcript.reset();
        session.transcript.update(&session.binding);
        Ok(session)
    }

    pub fn party(&self) -> Party {
        self.party
    }

    /// What everything of this session is derived from. Public between the two.
    pub fn binding(&self) -> &[u8; 32] {
        &self.binding
    }

    /// A stream of this party's own random choices for one purpose; every call gives another one.
    pub fn stream(&mut self, purpose: &[u8]) -> Stream {
        self.streams += 1;
        self.seed.child(purpose).child(&self.streams.to_le_bytes()).stream()
    }

    pub fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        self.check_cancelled()?;
        self.channel.send(step, message)?;
        self.absorb(self.party, step, message);
        self.watch.sent(step, (message.len() + HEADER_BYTES) as u64);
        self.meter.sent(step, message.len() + HEADER_BYTES);
        Ok(())
    }

    pub fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.check_cancelled()?;
        let message = self.channel.receive(step, length)?;
        self.absorb(self.party.peer(), step, &message);
        self.watch.received(step, (message.len() + HEADER_BYTES) as u64);
        self.meter.received(step, message.len() + HEADER_BYTES);
        Ok(message)
    }

    fn absorb(&mut self, from: Party, step: Step, message: &[u8]) {
        if self.binds_all || step.binds() {
            self.bind(from, step, message);
        }
    }

    fn bind(&mut self, from: Party, step: Step, message: &[u8]) {
        self.transcript.update(&[from.code(), step.code()]);
        self.transcript.update(&(message.len() as u64).to_le_bytes());
        self.transcript.update(message);
    }

    /// Takes in two messages that crossed each other, in one order for both: what was said before the set-up is part of every
    /// challenge, and of what is compared in the end. Only before [`Self::bind_all`].
    pub(crate) fn bind_both(&mut self, step: Step, ours: &[u8], theirs: &[u8]) {
        let (receivers, senders) = match self.party {
            Party::Receiver => (ours, theirs),
            Party::Sender => (theirs, ours),
        };
        self.bind(Party::Receiver, step, receivers);
        self.bind(Party::Sender, step, senders);
    }

    /// A challenge that depends on every message of the set-up so far (Fiat–Shamir). Both get the same.
    pub fn challenge(&self, purpose: &[u8]) -> Stream {
        let mut hasher = self.transcript.clone();
        hasher.update(purpose);
        Stream::new(hasher.finalize().as_bytes())
    }

    /// From here on every message goes into the transcript, for [`Self::confirm`]. Both parties must say so at the same place.
    pub(crate) fn bind_all(&mut self) {
        self.binds_all = true;
    }

    /// Both compare what they saw. The sender hears first: the receiver is the one that goes on with a result.
    pub(crate) fn confirm(&mut self) -> Result<(), Fault> {
        let digest = |party: Party, transcript: &blake3::Hasher| {
            let mut hasher = transcript.clone();
            hasher.update(b"confirmation").update(&[party.code()]);
            *hasher.finalize().as_bytes()
        };
        let transcript = self.transcript.clone();
        let ours = digest(self.party, &transcript);
        let expected = digest(self.party.peer(), &transcript);
        if self.party == Party::Receiver {
            self.send(Step::Confirmation, &ours)?;
        }
        if self.receive(Step::Confirmation, ours.len())? != expected {
            return Err(Fault::misbehaved(
                Step::Confirmation,
                "the parties saw different messages",
            ));
        }
        if self.party == Party::Sender {
            self.send(Step::Confirmation, &ours)?;
        }
        Ok(())
    }

    pub fn check_cancelled(&self) -> Result<(), Fault> {
        if self.watch.cancelled() { Err(Fault::Cancelled) } else { Ok(()) }
    }

    pub fn progress(&self, step: Step, done: usize, of: usize) -> Result<(), Fault> {
        self.watch.progress(step, done as u64, of as u64);
        self.check_cancelled()
    }

    /// What left and what came so far, by step.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

fn hello(party: Party, digest: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HELLO_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, party.code()]);
    bytes.extend_from_slice(digest);
    bytes.extend_from_slice(nonce);
    bytes
}

fn admit(theirs: &[u8], peer: Party, digest: &[u8; 32]) -> Result<(), Fault> {
    let wrong = |what| Err(Fault::PeerIncompatible { what });
    if theirs.get(..4) != Some(&MAGIC) {
        return wrong("it speaks another protocol");
    }
    if theirs.get(4) != Some(&VERSION) {
        return wrong("it speaks another version of the protocol");
    }
    if theirs.get(5) != Some(&peer.code()) {
        return wrong("it has the same role as this party");
    }
    if theirs.get(6..38) != Some(digest.as_slice()) {
        return wrong(
            "it agreed to another session or other terms (sizes, variant, or who learns what)",
        );
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
