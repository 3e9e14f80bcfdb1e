//! What a trusted third party would answer. Tests compare the protocol with it; no protocol uses it.

use std::collections::HashMap;

use super::{Closing, Opened, Opens, Outcome, Reveal, Terms};
use crate::psi::Set;
use crate::session::Party;

/// What `party` learns from both sets and the values at their places.
pub fn outcome(
    terms: &Terms,
    party: Party,
    receiver: (&Set, &[i64]),
    sender: (&Set, &[i64]),
) -> Outcome {
    let value = |(set, values): (&Set, &[i64]), index: usize| {
        values.get(set.place(index) as usize).copied().unwrap_or(0)
    };
    let theirs: HashMap<u128, i64> = sender
        .0
        .items()
        .iter()
        .enumerate()
        .map(|(index, item)| (*item, value(sender, index)))
        .collect();
    let common: Vec<(i64, i64)> = receiver
        .0
        .items()
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((value(receiver, index), *theirs.get(item)?)))
        .collect();
    let size = common.len() as u64;
    let enough = size >= terms.least;
    let mut outcome = Outcome { enough, ..Outcome::default() };
    if !enough || !terms.learns.entitles(party) {
        return outcome;
    }
    match terms.reveal {
        Reveal::Shares { .. } | Reveal::Enough => {}
        Reveal::Size => outcome.size = Some(size),
        Reveal::Sums { of_sender, of_receiver, .. } => {
            outcome.size = Some(size);
            outcome.sender_sum = of_sender.then(|| common.iter().map(|(_, theirs)| theirs).sum());
            outcome.receiver_sum = of_receiver.then(|| common.iter().map(|(ours, _)| ours).sum());
        }
    }
    outcome
}

/// What `party` learns of totals: those of all intersections together.
pub fn opened(closing: &Closing, party: Party, size: u64, sum: i64) -> Opened {
    let mut opened = Opened { within: true, ..Opened::default() };
    let entitled = closing.learns.entitles(party);
    let within = (closing.least..=closing.most).contains(&size);
    match closing.opens {
        Opens::AtLeast(least) => opened.at_least = entitled.then_some(size >= least),
        Opens::Size | Opens::Sum { .. } if !within => opened.within = false,
        Opens::Size => opened.size = entitled.then_some(size),
        Opens::Sum { .. } => opened.sum = entitled.then_some(sum),
    }
    opened
}
