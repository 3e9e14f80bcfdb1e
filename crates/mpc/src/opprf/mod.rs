//! A pseudo-random function that one party can look into at points of its choice, and the other can program.
//!
//! ```text
//!   receiver: queries X                                    sender: { y → value(y) }
//!   F(x) for its x        ◄──── the function of [`crate::psi`] ────►   F everywhere
//!              ◄──────────── hint, bin by bin ────────────  T encodes { y → value(y) ⊕ F(y) }
//!   decode(T, x) ⊕ F(x)
//! ```
//!
//! The oblivious programmable function (OPPRF) of KMPRT17 (Kolesnikov, Matania, Pinkas, Rosulek and Trieu, eprint 2017/799) in the
//! form of RS21: the hint is a key-value store. At a programmed point the receiver gets its value, elsewhere something
//! pseudo-random, and where values are pseudo-random themselves it cannot tell the two apart.
//!
//! Threats: both curious. The sender learns nothing but the agreed numbers. The receiver learns one value per query. The hint
//! is an even choice among all stores that fit: for who does not know F at a programmed point it is independent of that
//! point and of how many there are, so it says the agreed number and nothing else. Nothing here holds against a peer
//! that deviates: a sender can program what it likes, a receiver can query as many points as its store has places, and more.
//!
//! A query or a key that stands twice in its list is refused. Which values are pseudo-random, and whether a receiver may
//! compare them with something, is for the protocol on top.

mod hint;
pub mod ideal;

use hint::Hint;

use crate::fault::Fault;
use crate::hash::{Permutation, domain};
use crate::limits::{MAX_ITEMS, MAX_VALUE_BYTES};
use crate::okvs::{Rows, Solver};
use crate::psi::{self, Evaluated, Learns, Security};
use crate::random::Stream;
use crate::session::Session;
use crate::step::Step;

/// What both parties agree on. [`Terms::bytes`] belong into what they say hello with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Most queries, most programmed points; messages are as long as if there were that many.
    pub queries: u64,
    pub programmed: u64,
    /// Bytes of a value, 1 to 16: values are numbers below 2^(8·`value_bytes`).
    pub value_bytes: u32,
    /// As in [`psi::Terms`].
    pub parts: u32,
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"opprf".to_vec();
        bytes.extend_from_slice(&self.queries.to_le_bytes());
        bytes.extend_from_slice(&self.programmed.to_le_bytes());
        bytes.extend_from_slice(&self.value_bytes.to_le_bytes());
        bytes.extend(psi::parts_bytes(self.parts));
        bytes
    }

    fn check(&self) -> Result<(), Fault> {
        if self.programmed > MAX_ITEMS {
            let (what, count) = ("programmed points", self.programmed);
            return Err(Fault::TooMany { what, count, most: MAX_ITEMS });
        }
        if !(1..=MAX_VALUE_BYTES).contains(&self.value_bytes) {
            return Err(Fault::ApiMisuse("values have 1 to 16 bytes"));
        }
        Ok(())
    }

    /// As the function underneath sees it: the receiver's queries are its items, and no masks travel.
    fn function(&self) -> psi::Terms {
        let (security, learns) = (Security::SemiHonest, Learns::Receiver);
        let (receiver_items, parts) = (self.queries, self.parts);
        psi::Terms { security, learns, receiver_items, sender_items: 0, parts }
    }

    /// Points of one hint, and how many parts have one.
    fn hint(&self) -> (u64, u32) {
        (self.programmed, self.parts)
    }

    fn keep(&self) -> u128 {
        u128::MAX >> (128 - 8 * self.value_bytes.clamp(1, MAX_VALUE_BYTES))
    }
}

/// The party that queries, after set-up; any number of runs may follow.
pub struct Receiver {
    terms: Terms,
    function: psi::Receiver,
}

/// The party that programs, after set-up.
pub struct Sender {
    terms: Terms,
    function: psi::Sender,
    own: Stream,
}

impl Receiver {
    pub fn set_up(session: &mut Session<'_>, terms: &Terms) -> Result<Self, Fault> {
        terms.check()?;
        let function = psi::Receiver::set_up(session, &terms.function())?;
        Ok(Self { terms: *terms, function })
    }

    /// One value per query, in the order of the queries.
    pub fn run(&mut self, session: &mut Session<'_>, queries: &[u128]) -> Result<Vec<u128>, Fault> {
        fits("queries", queries.len(), self.terms.queries)?;
        let evaluated = self.function.prf(session, queries);
        let Evaluated { run, binned, values, .. } =
            evaluated.map_err(|fault| blame(fault, queries))?;
        let outputs = outputs(&run, values, binned.items());
        let hint = Hint::new(&run, self.terms.hint(), self.terms.value_bytes);
        // The hint has bins of its own.
        let places = hint.sort(binned.items());
        let (mut rows, mut decoded) = (Rows::default(), Vec::new());
        let mut found = vec![0; queries.len()];
        for bin in 0..hint.bins() {
            let message = session.receive(Step::Hint, hint.bin_bytes())?;
            hint.decode(&message, places.bin(bin), &mut rows, &mut decoded);
            for (index, value) in places.origins(bin).iter().zip(&decoded) {
                let index = *index as usize;
                found[binned.origin()[index] as usize] =
                    (outputs[index] ^ value.0) & self.terms.keep();
            }
            session.progress(Step::Hint, bin as usize + 1, hint.bins() as usize)?;
        }
        Ok(found)
    }
}

impl Sender {
    pub fn set_up(session: &mut Session<'_>, terms: &Terms) -> Result<Self, Fault> {
        terms.check()?;
        let function = psi::Sender::set_up(session, &terms.function())?;
        let own = session.stream(b"opprf hint");
        Ok(Self { terms: *terms, function, own })
    }

    /// Programs points with values; all other points stay pseudo-random.
    pub fn run(
        &mut self,
        session: &mut Session<'_>,
        programmed: &[(u128, u128)],
    ) -> Result<(), Fault> {
        fits("programmed points", programmed.len(), self.terms.programmed)?;
        let keep = self.terms.keep();
        if programmed.iter().any(|(_, value)| value & !keep != 0) {
            return Err(Fault::ApiMisuse("a value is wider than agreed"));
        }
        let keys: Vec<u128> = programmed.iter().map(|(key, _)| *key).collect();
        let Evaluated { run, binned, values, .. } = self.function.prf(session, &keys)?;
        let mut outputs = outputs(&run, values, binned.items());
        for (output, origin) in outputs.iter_mut().zip(binned.origin()) {
            // What is above the value's bytes must not depend on F, see [`hint`].
            let above = self.own.block() & !keep;
            *output = (*output & keep) ^ programmed[*origin as usize].1 ^ above;
        }
        let hint = Hint::new(&run, self.terms.hint(), self.terms.value_bytes);
        let places = hint.sort(binned.items());
        let (mut solver, mut rows, mut wanted) = (Solver::default(), Rows::default(), Vec::new());
        for bin in 0..hint.bins() {
            wanted.clear();
            wanted.extend(places.origins(bin).iter().map(|index| outputs[*index as usize]));
            let keys = places.bin(bin);
            let encoded = hint.encode(keys, &wanted, &mut self.own, &mut rows, &mut solver);
            let unlucky = |_| blame(Fault::Unlucky { step: Step::Hint }, binned.items());
            session.send(Step::Hint, &encoded.map_err(unlucky)?)?;
            session.progress(Step::Hint, bin as usize + 1, hint.bins() as usize)?;
        }
        Ok(())
    }
}

/// The function of the points: what both decode, hashed together with the point.
fn outputs(run: &[u8; 32], values: Vec<crate::field::Gf>, points: &[u128]) -> Vec<u128> {
    let mut outputs: Vec<u128> = values.into_iter().map(|value| value.0).collect();
    let permutation = Permutation::bound(domain::PROGRAMMED, run);
    permutation.tweaked(&mut outputs, |index| points.get(index).copied().unwrap_or(0));
    outputs
}

fn fits(what: &'static str, count: usize, most: u64) -> Result<(), Fault> {
    let count = count as u64;
    if count > most { Err(Fault::TooMany { what, count, most }) } else { Ok(()) }
}

/// A point that stands twice never encodes. That is looked for only when an encoding failed.
fn blame(fault: Fault, points: &[u128]) -> Fault {
    if !matches!(fault, Fault::Unlucky { .. }) {
        return fault;
    }
    let mut sorted = points.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64 {
        0 => fault,
        count => Fault::Duplicates { count },
    }
}

#[cfg(test)]
mod tests;
