//! The common items of a job in parts, with the sender's labels: [`crate::psi::labelled`], part by part.
//!
//! Threats: those of labelled intersection. All labels have the agreed length; who pads and what a label means is the caller's.

use super::part::Distinct;
use super::plan::Plan;
use super::run::{Parts, begin, hear_all, name_all};
use crate::fault::Fault;
use crate::psi::labelled::{Found, Terms, open, tell};
use crate::psi::{self, Receiver, Sender};
use crate::session::{Party, Session};
use crate::step::Step;

/// A party's parts with labels.
pub trait Labels: Parts {
    /// The sender's: one label of the agreed length per place of its list, one after the other.
    fn labels(&self) -> &[u8];

    /// The receiver's: remembers what it learnt of a part, before [`Parts::keep`] of it. Rows with equal keys have the same label.
    fn keep_labels(&mut self, part: u32, found: &[Found]) -> Result<(), Fault>;
}

/// The terms of one part.
fn of_part(plan: &Plan, label_bytes: u32) -> Result<Terms, Fault> {
    let psi::Terms { security, receiver_items, sender_items, parts, .. } = plan.part_terms()?;
    Ok(Terms { security, receiver_items, sender_items, label_bytes, parts })
}

/// Both sides' work, until both have kept all parts.
pub fn run<P: Labels + ?Sized>(
    session: &mut Session<'_>,
    plan: &Plan,
    label_bytes: u32,
    parts: &mut P,
) -> Result<(), Fault> {
    let terms = of_part(plan, label_bytes)?;
    begin(session, plan);
    match session.party() {
        Party::Receiver => receive(session, &terms, parts),
        Party::Sender => send(session, plan, &terms, parts),
    }
}

fn receive<P: Labels + ?Sized>(
    session: &mut Session<'_>,
    terms: &Terms,
    parts: &mut P,
) -> Result<(), Fault> {
    let mut function: Option<Receiver> = None;
    name_all(session, parts, |session, parts, loaded| {
        let function = match &mut function {
            Some(function) => function,
            None => function.insert(Receiver::set_up(session, &terms.function())?),
        };
        let found = open(session, function, terms, &loaded.distinct.set)?;
        parts.keep_labels(loaded.part, &with_equals(&loaded.distinct, &found))?;
        Ok(Some(found.iter().map(|found| found.place).collect()))
    })?;
    session.receive(Step::Kept, 0)?;
    Ok(())
}

/// With rows that repeat a key, which have the label of the first of them; rising.
fn with_equals(distinct: &Distinct, found: &[Found]) -> Vec<Found> {
    let mut all = found.to_vec();
    for found in found {
        let begin = distinct.also.partition_point(|(first, _)| *first < found.place);
        let equal = distinct.also.iter().skip(begin).take_while(|(first, _)| *first == found.place);
        all.extend(equal.map(|(_, also)| Found { place: *also, label: found.label.clone() }));
    }
    all.sort_by_key(|found| found.place);
    all
}

fn send<P: Labels + ?Sized>(
    session: &mut Session<'_>,
    plan: &Plan,
    terms: &Terms,
    parts: &mut P,
) -> Result<(), Fault> {
    let mut function: Option<Sender> = None;
    hear_all(session, plan, parts, |session, parts, loaded| {
        let function = match &mut function {
            Some(function) => function,
            None => function.insert(Sender::set_up(session, &terms.function())?),
        };
        let mut own = session.stream(b"labels");
        tell(session, function, terms, (&loaded.distinct.set, parts.labels()), &mut own)?;
        Ok(None)
    })?;
    session.send(Step::Kept, &[])
}
