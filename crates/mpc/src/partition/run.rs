//! Parts over one connection: one set-up, then one run for each part that the receiver names.

use super::part::Distinct;
use super::plan::Plan;
use super::talk::number;
use crate::fault::Fault;
use crate::psi::{Receiver, Security, Sender};
use crate::session::Session;
use crate::step::Step;

/// A part that is about to run.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub part: u32,
    pub distinct: Distinct,
}

impl Loaded {
    fn done(&self, places: Option<Vec<u32>>) -> Done {
        let places = places.map(|places| self.distinct.all(places));
        let (part, items) = (self.part, self.distinct.set.len() as u64);
        Done { part, items, left_out: self.distinct.left_out, places }
    }
}

/// What came of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub part: u32,
    /// Different items of the part.
    pub items: u64,
    pub left_out: u64,
    /// Places of the common items, rising; absent for a sender that is not to learn them.
    pub places: Option<Vec<u32>>,
}

/// A party's parts and its memory of results: files and a journal, or [`super::memory::Memory`].
pub trait Parts {
    /// For the receiver: the next part that nobody else works on, and the one that will probably follow. None when all
    /// parts are kept; where others still work on some, this waits to see whether they finish.
    fn claim(&mut self) -> Result<Option<(Loaded, Option<u32>)>, Fault>;

    /// For the sender: the part that the receiver named. It may make ready what follows.
    fn named(&mut self, part: u32, next: Option<u32>) -> Result<Loaded, Fault>;

    /// Returns when a crash no longer takes the result away.
    fn keep(&mut self, done: &Done) -> Result<(), Fault>;

    /// Both parties have kept the part: it need not be there any more.
    fn finished(&mut self, part: u32) -> Result<(), Fault>;
}

/// Names no part.
const NONE: u32 = u32::MAX;

/// A session on which parts run. In the malicious variant everything said from here on is compared in the end, the numbers
/// of the parts included; the greeting was taken in before ([`super::talk`]).
pub(super) fn begin(session: &mut Session<'_>, plan: &Plan) {
    if plan.whole.security == Security::Malicious {
        session.bind_all();
    }
}

/// The receiver's side, until no part is left.
pub fn receive(session: &mut Session<'_>, plan: &Plan, parts: &mut dyn Parts) -> Result<(), Fault> {
    let terms = plan.part_terms()?;
    begin(session, plan);
    let mut receiver: Option<Receiver> = None;
    name_all(session, parts, |session, _, loaded| {
        let receiver = match &mut receiver {
            Some(receiver) => receiver,
            None => receiver.insert(Receiver::set_up(session, &terms)?),
        };
        Ok(Some(receiver.run(session, &loaded.distinct.set)?))
    })?;
    session.receive(Step::Kept, 0)?;
    Ok(())
}

/// The sender's side, until the receiver says that it has kept all parts.
pub fn send(session: &mut Session<'_>, plan: &Plan, parts: &mut dyn Parts) -> Result<(), Fault> {
    let terms = plan.part_terms()?;
    begin(session, plan);
    let mut sender: Option<Sender> = None;
    hear_all(session, plan, parts, |session, _, loaded| {
        let sender = match &mut sender {
            Some(sender) => sender,
            None => sender.insert(Sender::set_up(session, &terms)?),
        };
        sender.run(session, &loaded.distinct.set)
    })?;
    session.send(Step::Kept, &[])
}

/// The receiver's way through the parts: names each, lets `one` run it, keeps what came of it. It has said that none is left
/// when this returns.
pub(super) fn name_all<P: Parts + ?Sized>(
    session: &mut Session<'_>,
    parts: &mut P,
    mut one: impl FnMut(&mut Session<'_>, &mut P, &Loaded) -> Result<Option<Vec<u32>>, Fault>,
) -> Result<(), Fault> {
    while let Some((loaded, next)) = parts.claim()? {
        session.send(Step::Part, &name(loaded.part, next))?;
        let done = loaded.done(one(session, parts, &loaded)?);
        // The sender first: what the receiver has kept is never asked for again.
        session.receive(Step::Kept, 0)?;
        parts.keep(&done)?;
        parts.finished(done.part)?;
        session.send(Step::Kept, &[])?;
    }
    session.send(Step::Part, &name(NONE, None))
}

/// The sender's way, until the receiver has said that none is left.
pub(super) fn hear_all<P: Parts + ?Sized>(
    session: &mut Session<'_>,
    plan: &Plan,
    parts: &mut P,
    mut one: impl FnMut(&mut Session<'_>, &mut P, &Loaded) -> Result<Option<Vec<u32>>, Fault>,
) -> Result<(), Fault> {
    while let Some((part, next)) = hear(session, plan.parts)? {
        let loaded = parts.named(part, next)?;
        let places = one(session, parts, &loaded)?;
        parts.keep(&loaded.done(places))?;
        session.send(Step::Kept, &[])?;
        session.receive(Step::Kept, 0)?;
        parts.finished(part)?;
    }
    Ok(())
}

fn name(part: u32, next: Option<u32>) -> Vec<u8> {
    [part.to_le_bytes(), next.unwrap_or(NONE).to_le_bytes()].concat()
}

/// Which part is to run, and a hint at the one after it; none at the end.
fn hear(session: &mut Session<'_>, parts: u32) -> Result<Option<(u32, Option<u32>)>, Fault> {
    let message = session.receive(Step::Part, 8)?;
    let (part, next) = message.split_at(4);
    let known = |bytes| match number(bytes) {
        Some(NONE) => Ok(None),
        Some(part) if part < parts => Ok(Some(part)),
        Some(_) | None => Err(Fault::misbehaved(Step::Part, "there is no part of this number")),
    };
    known(part)?.map(|part| known(next).map(|next| (part, next))).transpose()
}
