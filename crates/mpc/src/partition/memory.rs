//! Parts and results in memory, and both parties' whole session over them: the twin of what a job does with files.

use std::collections::{BTreeMap, VecDeque};

use super::Job;
use super::cut::{Cut, key};
use super::part::{Equals, Part};
use super::plan::Plan;
use super::run::{Done, Loaded, Parts, receive, send};
use super::talk::{Greeting, compare, greet, ready};
use crate::fault::Fault;
use crate::psi::Item;
use crate::session::{Party, Session, Setting};

/// One party's parts.
#[derive(Debug)]
pub struct Memory {
    equals: Equals,
    most: u64,
    parts: Vec<Part>,
    waiting: VecDeque<u32>,
    pub kept: BTreeMap<u32, Done>,
}

/// What a party learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Places of the common items in the order in which they came, rising; absent for a sender that is not to learn them.
    pub places: Option<Vec<u32>>,
    pub left_out: u64,
}

impl Memory {
    /// Cuts all items; more than `agreed` are a fault.
    pub fn cut(
        cut: &Cut,
        items: impl Iterator<Item = Item>,
        agreed: u64,
        equals: Equals,
        most: u64,
    ) -> Result<Self, Fault> {
        let items: Vec<u128> = items.map(|item| item.0).collect();
        if items.len() as u64 > agreed {
            let count = items.len() as u64;
            return Err(Fault::TooMany { what: "items of the set", count, most: agreed });
        }
        let mut hashes = Vec::new();
        cut.hashes(&items, &mut hashes);
        let mut parts = vec![Part::default(); cut.parts() as usize];
        for ((item, hash), place) in items.into_iter().zip(hashes).zip(0u32..) {
            parts[cut.part(hash) as usize].push(item, place);
        }
        Ok(Self { equals, most, parts, waiting: (0..cut.parts()).collect(), kept: BTreeMap::new() })
    }

    fn load(&mut self, part: u32) -> Result<Loaded, Fault> {
        let waiting = self.parts.get_mut(part as usize).ok_or(Fault::ApiMisuse("no such part"))?;
        let distinct = std::mem::take(waiting).distinct(self.equals, self.most)?;
        Ok(Loaded { part, distinct })
    }
}

impl Parts for Memory {
    fn claim(&mut self) -> Result<Option<(Loaded, Option<u32>)>, Fault> {
        let Some(part) = self.waiting.pop_front() else { return Ok(None) };
        let next = self.waiting.front().copied();
        Ok(Some((self.load(part)?, next)))
    }

    fn named(&mut self, part: u32, _next: Option<u32>) -> Result<Loaded, Fault> {
        self.load(part)
    }

    fn keep(&mut self, done: &Done) -> Result<(), Fault> {
        self.kept.insert(done.part, done.clone());
        Ok(())
    }

    fn finished(&mut self, _part: u32) -> Result<(), Fault> {
        Ok(())
    }
}

/// One party's job over one connection, with as many parts as the one of both that wants more wants.
pub fn once(
    setting: Setting<'_>,
    job: &Job,
    parts: u32,
    items: impl Iterator<Item = Item>,
) -> Result<Outcome, Fault> {
    let mut session = Session::open(setting, &job.bytes())?;
    let nonce = session.stream(b"job").bytes32();
    let agreed = greet(&mut session, &Greeting { nonce, parts })?;
    let plan = Plan { whole: job.whole, parts: agreed.parts };
    let terms = plan.part_terms()?;
    compare(&mut session, &vec![false; agreed.parts as usize])?;
    let cut = Cut::new(&key(&job.id, &agreed.receiver_nonce, &agreed.sender_nonce), agreed.parts);
    let (whole, part) = match session.party() {
        Party::Receiver => (job.whole.receiver_items, terms.receiver_items),
        Party::Sender => (job.whole.sender_items, terms.sender_items),
    };
    let mut memory = Memory::cut(&cut, items, whole, job.equals, part)?;
    ready(&mut session, true)?;
    match session.party() {
        Party::Receiver => receive(&mut session, &plan, &mut memory)?,
        Party::Sender => send(&mut session, &plan, &mut memory)?,
    }
    Ok(Outcome::of(memory.kept.into_values()))
}

impl Outcome {
    /// All parts together.
    pub fn of(parts: impl Iterator<Item = Done>) -> Self {
        let mut outcome = Self { places: None, left_out: 0 };
        for done in parts {
            outcome.left_out += done.left_out;
            if let Some(places) = done.places {
                outcome.places.get_or_insert_default().extend(places);
            }
        }
        if let Some(places) = &mut outcome.places {
            places.sort_unstable();
        }
        outcome
    }
}
