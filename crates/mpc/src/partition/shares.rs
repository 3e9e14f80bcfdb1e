//! Sizes, sums and "at least so many" over the parts of a job: shares of each part are kept, their totals are opened once.
//!
//! ```text
//!   each part     circuit-PSI of the part; both keep their shares of its size and its sum
//!   in the end    runs: which runs the shares come from, by both  ─  totals of shares  ─  the answer  ─  kept
//! ```
//!
//! Nothing of a part is ever opened: a party that kept its shares of every part knows random numbers. A part that is run again
//! gives other shares, which only fit the peer's of the same run: both compare a digest of all runs before they open. What is
//! opened may be opened again after a crash, and is the same: the runs of the first opening stand, and openings are counted, or a
//! peer that was changed would run a part again with other items and hear one answer after the other.
//!
//! Threats: semi-honest, as [`crate::circuit`]. Sizes of parts are filled up as in [`super`]. Values that are too large for a sum
//! end the job before their part runs.

use super::part::Distinct;
use super::plan::Plan;
use super::run::{Loaded, Parts, hear_all, name_all};
use crate::circuit::{Circuit, Closing, Learns, Opened, Opens, Reveal, Totals, all};
use crate::fault::Fault;
use crate::hash::{derive, domain};
use crate::limits::MAX_SHARED_ITEMS;
use crate::psi::{self, Set};
use crate::session::{Party, Session};
use crate::step::Step;

/// What is worked out, of a job whose sizes stand in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whose values are summed up.
    pub of: Option<Party>,
    pub closing: Closing,
}

/// What a party remembers of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub part: u32,
    /// Of the run, known to both: shares of other runs do not fit.
    pub run: [u8; 16],
    pub totals: Totals,
}

/// A party's parts, its values, and its memory.
pub trait Shares: Parts {
    /// This party's values by the places of its list; empty where it brings none.
    fn values(&self) -> &[i64];

    /// One value per item of a part, in the order of its set, where the places of equal rows are not all in it
    /// ([`Distinct::elsewhere`]): asked only of who leaves some out.
    fn added_up(&mut self, _distinct: &Distinct, _part: u32) -> Result<Vec<i64>, Fault> {
        Err(Fault::ApiMisuse("rows were left out, and nobody has them"))
    }

    /// Remembers a share, before [`Parts::keep`] of its part.
    fn keep_share(&mut self, share: &Share) -> Result<(), Fault>;

    /// The share of every part that was kept, rising.
    fn shares(&mut self) -> Result<Vec<Share>, Fault>;

    /// Before the totals of these runs are opened, durably: refuses other runs than those of the first opening, and too many.
    fn begin_closing(&mut self, runs: &[u8; 32]) -> Result<(), Fault>;

    /// Returns when a crash no longer takes the answer away.
    fn keep_opened(&mut self, opened: &Opened) -> Result<(), Fault>;
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        let of = match self.of {
            None => 0,
            Some(Party::Receiver) => 1,
            Some(Party::Sender) => 2,
        };
        [&[of][..], &self.closing.bytes()].concat()
    }

    /// Refuses what no number of parts makes possible: a sum of the sender's values over more bins than their strings are long for.
    pub fn check_whole(&self, whole: &psi::Terms) -> Result<(), Fault> {
        let bins = crate::circuit::least_bins(whole.receiver_items);
        let most = crate::limits::MAX_PAYLOAD_BINS;
        if self.of == Some(Party::Sender) && bins > most {
            let what = "bins of all parts of a job that sums up the sender's values";
            return Err(Fault::TooMany { what, count: bins, most });
        }
        Ok(())
    }

    /// The terms of one part's circuit.
    pub fn of_part(&self, plan: &Plan) -> Result<crate::circuit::Terms, Fault> {
        let part = plan.part_terms()?;
        for count in [part.receiver_items, part.sender_items] {
            if count > MAX_SHARED_ITEMS {
                let what = "items of one part whose result stays in shares";
                return Err(Fault::TooMany { what, count, most: MAX_SHARED_ITEMS });
            }
        }
        let reveal = match (self.of, self.closing.opens) {
            (None, Opens::Size | Opens::AtLeast(_)) => Reveal::Size,
            (Some(party), Opens::Sum { bound }) => Reveal::Sums {
                of_sender: party == Party::Sender,
                of_receiver: party == Party::Receiver,
                bound,
            },
            (None, Opens::Sum { .. }) | (Some(_), Opens::Size | Opens::AtLeast(_)) => {
                return Err(Fault::ApiMisuse("sums have an owner, and nothing else has"));
            }
        };
        let terms = crate::circuit::Terms {
            receiver_items: part.receiver_items,
            sender_items: part.sender_items,
            reveal,
            learns: self.closing.learns,
            least: 0,
            parts: plan.parts,
        };
        terms.check()?;
        Ok(terms)
    }

    /// The largest value by size whose sums never overflow.
    pub fn bound(common: u64) -> u64 {
        (u64::MAX >> 1) / common.max(1)
    }
}

/// Both sides' work: parts until none is left, then the answer. The receiver names the parts.
pub fn run<P: Shares + ?Sized>(
    session: &mut Session<'_>,
    plan: &Plan,
    terms: &Terms,
    parts: &mut P,
) -> Result<Opened, Fault> {
    terms.closing.check()?;
    let of_part = terms.of_part(plan)?;
    let mut work = Work { terms: of_part, of: terms.of, circuit: None, runs: 0 };
    match session.party() {
        Party::Receiver => name_all(session, parts, |it, parts, part| work.keep(it, parts, part))?,
        Party::Sender => {
            hear_all(session, plan, parts, |it, parts, part| work.keep(it, parts, part))?;
        }
    }
    let shares = parts.shares()?;
    if shares.len() != plan.parts as usize {
        return Err(Fault::ApiMisuse("a part was not kept"));
    }
    let runs = same_runs(session, &shares)?;
    parts.begin_closing(&runs)?;
    let totals = all(shares.iter().map(|share| share.totals));
    let opened = work.circuit(session)?.close(session, &totals, &terms.closing)?;
    // The sender first, as with parts: who learns last keeps last.
    if session.party() == Party::Receiver {
        session.receive(Step::Kept, 0)?;
    }
    parts.keep_opened(&opened)?;
    session.send(Step::Kept, &[])?;
    if session.party() == Party::Sender {
        session.receive(Step::Kept, 0)?;
    }
    Ok(opened)
}

struct Work {
    terms: crate::circuit::Terms,
    of: Option<Party>,
    circuit: Option<Circuit>,
    runs: u64,
}

impl Work {
    fn circuit(&mut self, session: &mut Session<'_>) -> Result<&mut Circuit, Fault> {
        if self.circuit.is_none() {
            self.circuit = Some(Circuit::set_up(session, &self.terms)?);
        }
        self.circuit.as_mut().ok_or(Fault::ApiMisuse("it was set up"))
    }

    fn keep<P: Shares + ?Sized>(
        &mut self,
        session: &mut Session<'_>,
        parts: &mut P,
        loaded: &Loaded,
    ) -> Result<Option<Vec<u32>>, Fault> {
        let share = self.one(session, loaded, parts)?;
        parts.keep_share(&share)?;
        Ok(None)
    }

    fn one<P: Shares + ?Sized>(
        &mut self,
        session: &mut Session<'_>,
        loaded: &Loaded,
        parts: &mut P,
    ) -> Result<Share, Fault> {
        let own = self.of == Some(session.party());
        let distinct = &loaded.distinct;
        let (set, values) = match (own, distinct.elsewhere) {
            (true, false) => valued(distinct, parts.values())?,
            (true, true) => numbered(distinct, parts.added_up(distinct, loaded.part)?),
            (false, _) => (distinct.set.clone(), Vec::new()),
        };
        self.runs += 1;
        let runs = self.runs.to_le_bytes();
        let run = derive(domain::RUNS, &[session.binding(), &runs, &loaded.part.to_le_bytes()]);
        let (run, _) = run.split_first_chunk().ok_or(Fault::ApiMisuse("a digest is longer"))?;
        let circuit = self.circuit(session)?;
        let shared = circuit.join(session, &set, &values)?;
        let totals = circuit.total(session, &shared)?;
        Ok(Share { part: loaded.part, run: *run, totals })
    }
}

/// The part's items with one value each: of rows with equal keys that all count, the sum.
fn valued(distinct: &Distinct, values: &[i64]) -> Result<(Set, Vec<i64>), Fault> {
    let at = |place: u32| values.get(place as usize).copied();
    let mut found = Vec::with_capacity(distinct.set.len());
    for index in 0..distinct.set.len() {
        let place = distinct.set.place(index);
        let begin = distinct.also.partition_point(|(first, _)| *first < place);
        let equal = distinct.also.iter().skip(begin).take_while(|(first, _)| *first == place);
        let missing = || Fault::ApiMisuse("an item has no value");
        let mut value = at(place).ok_or_else(missing)?;
        for (_, also) in equal {
            value = add(value, at(*also).ok_or_else(missing)?)?;
        }
        found.push(value);
    }
    Ok(numbered(distinct, found))
}

/// The sum of two values of one key.
pub fn add(value: i64, more: i64) -> Result<i64, Fault> {
    value.checked_add(more).ok_or(Fault::TooMany {
        what: "the sum of the values of one key",
        count: u64::MAX,
        most: u64::MAX >> 1,
    })
}

/// The items with the numbers of their values as places.
fn numbered(distinct: &Distinct, values: Vec<i64>) -> (Set, Vec<i64>) {
    let places = (0u32..).take(values.len()).collect();
    (Set::of_parts(distinct.set.items().to_vec(), places), values)
}

/// Both have the shares of the same runs: their digest.
fn same_runs(session: &mut Session<'_>, shares: &[Share]) -> Result<[u8; 32], Fault> {
    let runs: Vec<u8> = shares
        .iter()
        .flat_map(|share| share.part.to_le_bytes().into_iter().chain(share.run))
        .collect();
    let ours = derive(domain::RUNS, &[&runs]);
    session.send(Step::Runs, &ours)?;
    if session.receive(Step::Runs, ours.len())? == ours {
        return Ok(ours);
    }
    Err(Fault::PeerIncompatible {
        what: "it has shares of other runs: begin a new job on both sides",
    })
}

/// The closing of a job over so many items.
pub fn closing(plan: &Plan, opens: Opens, learns: Learns, least: u64, most: u64) -> Closing {
    let common = plan.whole.receiver_items.min(plan.whole.sender_items);
    Closing { opens, learns, common, least, most }
}
