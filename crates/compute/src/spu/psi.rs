//! The sequence: what both parties say, in which order, as sender and as receiver. Knows no socket: it speaks over a [`Link`].
//!
//! ```text
//! root       ALLGATHER  settings          spu's, and ours made from them
//! root-0     ALLGATHER  heartbeats        while lists are read, until both are ready
//! root       ALLGATHER  repeats           01: no key repeats; 00: some do
//! root       ALLGATHER  digest            only if nobody has repeats; ours is random
//! root       BARRIER
//! root-1     ALLGATHER  heartbeats        while items are exchanged:
//!   root       ALLGATHER  receiver and curve
//!   root       P2P        items masked once, both ways; an empty message ends them
//!   root-2     P2P        the other's items masked twice, cut to 12 bytes, to who learns the result
//! root-3     ALLGATHER  heartbeats        while who learns compares
//! root-4     ALLGATHER  heartbeats        while results are written; with `both`, list sizes on root
//! ```

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tidm_mpc::random::Seed;

use super::fault::{Fault, Step};
use super::items::{Items, Mask, Point};
use super::limits::{BATCH_ITEMS, HEARTBEAT, MOST_ITEMS};
use super::link::Link;
use super::progress::add;
use super::wire::{ANSWER_BYTES, Batch, ONCE, PsiConfig, Size, TWICE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Sender,
    Receiver,
}

impl std::str::FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sender" => Ok(Self::Sender),
            "receiver" => Ok(Self::Receiver),
            _ => Err("a role is `sender` or `receiver`"),
        }
    }
}

/// What we agreed to. The peer's settings must say the same.
#[derive(Clone, Debug)]
pub struct Terms {
    pub role: Role,
    /// Whether the sender learns the result, too (`broadcast_result`).
    pub both: bool,
    /// The name of the link on both sides; spu's default is `root`.
    pub name: String,
    /// How long no item may come or go while the peer says that it works: reading or sorting a large file takes minutes.
    pub stalled: Duration,
}

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Places in our list, ascending; nothing for a sender that does not learn.
    pub common: Option<Vec<u32>>,
    pub peer_items: u64,
}

const FINISHED: &[u8] = b"p_finished";
const UNFINISHED: &[u8] = b"p_unfinished";
const NO_REPEATS: &[u8] = &[1];
const REPEATS: &[u8] = &[0];
const DIGEST_BYTES: usize = 32;
/// spu's number for "all ranks".
const ALL_RANKS: u64 = u64::MAX;

/// Enumerations of spu's settings.
const RECEIVER: i32 = 1;
const SENDER: i32 = 2;
const ECDH: i32 = 1;
const CURVE_25519: i32 = 1;
const INNER_JOIN: i32 = 1;

type Answer = [u8; ANSWER_BYTES];

/// Runs one session. The seed must be fresh: secret, order and digest come from it.
pub fn intersect(
    link: &dyn Link,
    terms: &Terms,
    mut items: Items,
    seed: &Seed,
) -> Result<Outcome, Fault> {
    let mut random = seed.stream();
    items.shuffle(&Seed::new(random.bytes32()));
    let session = Session { link, terms, items, mask: Mask::new(random.bytes32()) };
    let outcome = session.run(random.bytes32());
    if let Err(fault) = &outcome {
        link.fail(fault);
    }
    outcome
}

struct Session<'a> {
    link: &'a dyn Link,
    terms: &'a Terms,
    items: Items,
    mask: Mask,
}

/// What the exchange of items left with us.
#[derive(Default)]
struct Exchanged {
    /// The peer's items masked twice, if we learn.
    theirs: Vec<Answer>,
    /// Ours masked twice, in the order of our items, if we learn.
    ours: Vec<Answer>,
    peer_items: u64,
}

impl Session<'_> {
    fn run(&self, digest: [u8; DIGEST_BYTES]) -> Result<Outcome, Fault> {
        let mut round = 0;
        let mut next = || {
            round += 1;
            round
        };
        let checks_digest = self.settings(next())?;
        self.together(0, Step::Reading, || Ok(()))?;
        if checks_digest {
            let theirs = self.gather(Step::Repeats, &self.gathered(next()), NO_REPEATS)?;
            if theirs == NO_REPEATS {
                let theirs = self.gather(Step::Digest, &self.gathered(next()), &digest)?;
                if theirs.len() != DIGEST_BYTES {
                    return Err(Fault::misbehaved(Step::Digest, "a digest of another length"));
                }
            } else if theirs != REPEATS {
                return Err(Fault::misbehaved(Step::Repeats, "neither yes nor no"));
            }
        }
        let barrier = format!("{}:{}:BARRIER", self.terms.name, next());
        if !self.gather(Step::Ready, &barrier, &[])?.is_empty() {
            return Err(Fault::misbehaved(Step::Ready, "an empty message with something in it"));
        }
        let curve = self.gathered(next());
        let it = self.together(1, Step::Exchange, || self.exchange(&curve))?;
        let peer_items = it.peer_items;
        let common = self.together(3, Step::Matching, || Ok(self.matched(it)))?;
        let sizes = self.gathered(next());
        self.together(
            4,
            Step::Writing,
            || if self.terms.both { self.sizes(&sizes) } else { Ok(()) },
        )?;
        Ok(Outcome { common, peer_items })
    }

    /// The peer's settings, checked; ours are the same with the other role, so that whatever plays no part here is equal.
    fn settings(&self, round: u32) -> Result<bool, Fault> {
        let name = self.gathered(round);
        let theirs = self.link.receive(Step::Settings, &name)?;
        let (ours, checks_digest) = answered(&theirs, self.terms)?;
        self.link.send(Step::Settings, &name, ours)?;
        Ok(checks_digest)
    }

    fn gathered(&self, round: u32) -> String {
        format!("{}:{round}:ALLGATHER", self.terms.name)
    }

    /// Says something under a name and hears what the peer says under it.
    fn gather(&self, step: Step, name: &str, ours: &[u8]) -> Result<Bytes, Fault> {
        self.link.send(step, name, ours.to_vec())?;
        self.link.receive(step, name)
    }

    /// Works, and meanwhile says every 5 s that it does, until both have finished.
    fn together<T: Send>(
        &self,
        child: u32,
        step: Step,
        work: impl FnOnce() -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            scope.spawn(move || {
                // Nobody listens any more only if the heartbeat failed, which is told already.
                tell.send(work()).unwrap_or_default();
            });
            // A fault here ends the waits of the work, and the other way round.
            self.heartbeats(child, step, &told).inspect_err(|fault| self.link.fail(fault))
        })
    }

    fn heartbeats<T>(
        &self,
        child: u32,
        step: Step,
        told: &Receiver<Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut result = None;
        let mut moved = (self.link.progress().steps(), Instant::now());
        for round in 1_u32.. {
            if result.is_none() {
                result = match told.recv_timeout(HEARTBEAT) {
                    Ok(done) => Some(done?),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(Fault::local("a thread", "it ended without a result"));
                    }
                };
            }
            let name = format!("{}-{child}:{round}:ALLGATHER", self.terms.name);
            let ours = if result.is_some() { FINISHED } else { UNFINISHED };
            let theirs = self.gather(step, &name, ours)?;
            match result {
                Some(done) if theirs == FINISHED => return Ok(done),
                _ if theirs != FINISHED && theirs != UNFINISHED => {
                    return Err(Fault::misbehaved(step, "a heartbeat that says something else"));
                }
                kept => result = kept,
            }
            let steps = self.link.progress().steps();
            if steps != moved.0 {
                moved = (steps, Instant::now());
            } else if moved.1.elapsed() > self.terms.stalled {
                return Err(Fault::Stalled { step, seconds: self.terms.stalled.as_secs() });
            }
        }
        Err(Fault::misbehaved(step, "heartbeats without end"))
    }

    fn we_learn(&self) -> bool {
        self.terms.both || self.terms.role == Role::Receiver
    }

    fn they_learn(&self) -> bool {
        self.terms.both || self.terms.role == Role::Sender
    }

    fn exchange(&self, curve: &str) -> Result<Exchanged, Fault> {
        let rank = self.link.rank();
        let target = match (self.terms.both, self.terms.role) {
            (true, _) => ALL_RANKS,
            (false, Role::Receiver) => rank,
            (false, Role::Sender) => 1 - rank,
        };
        let ours = format!("target_rank={target},curve={CURVE_25519}");
        if self.gather(Step::Curve, curve, ours.as_bytes())? != ours.as_bytes() {
            let what = "it names another receiver or another curve than 25519";
            return Err(Fault::PeerIncompatible { what });
        }
        thread::scope(|scope| {
            // The first fault of any of them ends the waits of the others.
            let told = |fault: &Fault| self.link.fail(fault);
            let say = scope.spawn(move || self.send_items().inspect_err(told));
            let hear = scope.spawn(move || self.receive_answers().inspect_err(told));
            let masked = self.mask_peer().inspect_err(told);
            let ended = || Fault::local("a thread", "it ended without a result");
            say.join().map_err(|_| ended())??;
            let ours = hear.join().map_err(|_| ended())??;
            let (theirs, peer_items) = masked?;
            Ok(Exchanged { theirs, ours, peer_items })
        })
    }

    /// Our items, masked, in messages of 4096; the last is empty.
    fn send_items(&self) -> Result<(), Fault> {
        let step = Step::OwnItems;
        let empty: &[Point] = &[];
        let batches = self.items.points.chunks(BATCH_ITEMS).chain([empty]);
        for (index, batch) in (0..).zip(batches) {
            let mut masked = batch.to_vec();
            self.mask.many(&mut masked);
            let message = Batch::of(ONCE, index, masked.len(), masked.into_flattened());
            self.link.send(step, &self.our_batch(&self.terms.name, index), message)?;
            add(&self.link.progress().sent_items, batch.len());
        }
        Ok(())
    }

    /// The peer's items, masked once more, kept or sent back or both.
    fn mask_peer(&self) -> Result<(Vec<Answer>, u64), Fault> {
        let step = Step::PeerItems;
        let answers_on = format!("{}-2", self.terms.name);
        let (mut kept, mut count) = (Vec::new(), 0);
        for index in 0_u32.. {
            let message = self.link.receive(step, &self.their_batch(&self.terms.name, index))?;
            let items = Batch::items(message, ONCE, index);
            let mut items: Vec<Point> = items.map_err(|what| Fault::misbehaved(step, what))?;
            count += items.len() as u64;
            if count > MOST_ITEMS {
                return Err(Fault::TooMany { what: "items of the peer", count, most: MOST_ITEMS });
            }
            self.mask.many(&mut items);
            if items.contains(&[0; _]) {
                // A point of small order: its answer would not depend on our secret.
                return Err(Fault::misbehaved(step, "a point that no key has"));
            }
            let answers: Vec<Answer> =
                items.iter().filter_map(|it| it.last_chunk().copied()).collect();
            if self.they_learn() {
                let flat = answers.as_flattened().to_vec();
                let message = Batch::of(TWICE, index, answers.len(), flat);
                self.link.answer(step, &self.our_batch(&answers_on, index), message)?;
            }
            add(&self.link.progress().peer_items, items.len());
            if items.is_empty() {
                return Ok((kept, count));
            }
            if self.we_learn() {
                kept.extend(answers);
            }
        }
        Err(Fault::misbehaved(step, "batches without end"))
    }

    /// Our items masked twice, which come back in the batches in which they went.
    fn receive_answers(&self) -> Result<Vec<Answer>, Fault> {
        let mut ours = Vec::new();
        if !self.we_learn() {
            return Ok(ours);
        }
        let step = Step::Answers;
        let from = format!("{}-2", self.terms.name);
        let lengths = self.items.points.chunks(BATCH_ITEMS).map(<[Point]>::len).chain([0]);
        for (index, length) in (0..).zip(lengths) {
            let message = self.link.receive(step, &self.their_batch(&from, index))?;
            let answers = Batch::items(message, TWICE, index);
            let answers: Vec<Answer> = answers.map_err(|what| Fault::misbehaved(step, what))?;
            if answers.len() != length {
                return Err(Fault::misbehaved(step, "not one answer to each item"));
            }
            add(&self.link.progress().answered_items, answers.len());
            ours.extend(answers);
        }
        Ok(ours)
    }

    fn our_batch(&self, context: &str, index: u32) -> String {
        let rank = self.link.rank();
        format!("{context}:P2P-{}:{rank}->{}", u64::from(index) + 1, 1 - rank)
    }

    fn their_batch(&self, context: &str, index: u32) -> String {
        let rank = self.link.rank();
        format!("{context}:P2P-{}:{}->{rank}", u64::from(index) + 1, 1 - rank)
    }

    fn matched(&self, mut it: Exchanged) -> Option<Vec<u32>> {
        if !self.we_learn() {
            return None;
        }
        it.theirs.sort_unstable();
        let theirs = it.theirs;
        let common = it.ours.iter().enumerate().filter(|(_, it)| theirs.binary_search(it).is_ok());
        let mut places: Vec<u32> =
            common.filter_map(|(index, _)| self.items.place(index)).collect();
        places.sort_unstable();
        Some(places)
    }

    /// With `both`, spu wants to know how many rows the peer's list has, for joins that we do not do.
    fn sizes(&self, name: &str) -> Result<(), Fault> {
        let ours = Size { size: self.items.len() as u64 }.encode_to_vec();
        let theirs = self.gather(Step::Sizes, name, &ours)?;
        match Size::decode(theirs) {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::misbehaved(Step::Sizes, "a size that cannot be read")),
        }
    }
}

/// Our settings to the peer's, and whether digests are exchanged.
fn answered(theirs: &Bytes, terms: &Terms) -> Result<(Vec<u8>, bool), Fault> {
    let other = |what| Err(Fault::PeerIncompatible { what });
    let Ok(mut it) = PsiConfig::decode(theirs.clone()) else {
        return other("its settings cannot be read: it runs another version than spu 0.9.5");
    };
    if it.encode_to_vec() != *theirs {
        return other(
            "its settings say things unknown here: it runs another version than spu 0.9.5",
        );
    }
    let (peer, own) = match terms.role {
        Role::Sender => (RECEIVER, SENDER),
        Role::Receiver => (SENDER, RECEIVER),
    };
    let Some(protocol) = it.protocol.as_mut().filter(|it| it.protocol == ECDH) else {
        return other("set `protocol` to PROTOCOL_ECDH");
    };
    if protocol.ecdh.is_none_or(|it| it.curve != CURVE_25519) {
        return other("set `curve` to CURVE_25519");
    }
    if protocol.role != peer {
        return other(
            "it has our role: `receiver_rank` is to name the receiver's rank on both sides",
        );
    }
    if protocol.broadcast != terms.both {
        return other("`broadcast_result` is not what we were told about who learns the result");
    }
    protocol.role = own;
    if !(0..=INNER_JOIN).contains(&it.join) {
        return other("set the join to JOIN_TYPE_INNER_JOIN");
    }
    if it.recovery.as_ref().is_some_and(|it| it.enabled) {
        return other("switch checkpoints off");
    }
    Ok((it.encode_to_vec(), it.check_digest))
}

#[cfg(test)]
mod tests;
