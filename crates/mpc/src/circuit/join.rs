//! From two sets to shares: one bit per bin, and the sender's values.
//!
//! What leaves: queries under the programmable function, its hint, and masked inputs of gates. Never opens a bit.

use super::{Circuit, Function, Terms, cuckoo};
use crate::bits::{Gates, slices};
use crate::fault::Fault;
use crate::psi::Set;
use crate::session::{Party, Session};

/// One party's part of an intersection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Bins of the receiver's table. They are in an order that depends on both parties' nonces and the receiver's items.
    pub bins: usize,
    /// A share, by exclusive or, of "the receiver's item in this bin is common": one bit per bin, 128 in a word.
    pub matches: Vec<u128>,
    /// The receiver's: the place in the caller's list of the item in each bin. The sender has no such table.
    pub rows: Vec<Option<u32>>,
    /// A share, by addition mod 2^64, of the sender's value in each bin whose item is common; something random in all others.
    pub payload: Option<Vec<u64>>,
    /// The receiver's own value per bin, zero in empty ones.
    pub own: Option<Vec<u64>>,
}

/// Refuses a set or values that are not what was agreed.
pub(super) fn check_input(
    terms: &Terms,
    party: Party,
    set: &Set,
    values: &[i64],
) -> Result<(), Fault> {
    set.fits(if party == Party::Receiver { terms.receiver_items } else { terms.sender_items })?;
    let Some(bound) = terms.values_of(party) else {
        let misuse = Fault::ApiMisuse("values are given where the terms take none");
        return if values.is_empty() { Ok(()) } else { Err(misuse) };
    };
    for index in 0..set.len() {
        let value = values.get(set.place(index) as usize);
        let value = value.ok_or(Fault::ApiMisuse("an item has no value"))?.unsigned_abs();
        if value > bound {
            let what = "the size of a value that is summed up";
            return Err(Fault::TooMany { what, count: value, most: bound });
        }
    }
    Ok(())
}

impl Circuit {
    /// This party's shares of one intersection. `values` as in [`Circuit::once`].
    pub fn join(
        &mut self,
        session: &mut Session<'_>,
        set: &Set,
        values: &[i64],
    ) -> Result<Shared, Fault> {
        check_input(&self.terms, session.party(), set, values)?;
        let (bins, bits) = (self.terms.bins(), self.terms.string_bits());
        let (strings, mut shared) = match &mut self.function {
            Function::Receiver(function) => receive(&self.terms, function, session, set, values)?,
            Function::Sender(function) => send(&self.terms, function, session, set, values)?,
        };
        let more = if self.terms.least > 0 { Gates::AT_LEAST_GATES } else { 0 };
        self.gates.prepare(session, Gates::equal_gates(bits, bins) + more)?;
        shared.matches = self.gates.equal(session, slices(&strings, bits), bins)?;
        Ok(shared)
    }
}

/// The value at an item's place; that there is one was checked.
fn value(set: &Set, values: &[i64], index: usize) -> u64 {
    values.get(set.place(index) as usize).copied().unwrap_or(0).cast_unsigned()
}

/// The receiver's strings, and all of its part but the bits.
fn receive(
    terms: &Terms,
    function: &mut crate::opprf::Receiver,
    session: &mut Session<'_>,
    set: &Set,
    values: &[i64],
) -> Result<(Vec<u128>, Shared), Fault> {
    let bins = terms.bins();
    let hasher = cuckoo::Hasher::new(session.binding());
    let table = cuckoo::place(&hasher.choices(set.items(), bins), bins)?;
    let taken: Vec<(u32, u32)> =
        (0u32..).zip(&table).filter_map(|(bin, item)| Some((bin, (*item)?))).collect();
    let mut queries: Vec<u128> =
        taken.iter().map(|(_, item)| set.items()[*item as usize]).collect();
    hasher.keys(&mut queries, |index| taken[index].0);
    let answers = function.run(session, &queries)?;
    // An empty bin has a string that nobody else has, as one with an item that is not common.
    let mut strings = session.stream(b"circuit receiver").blocks(bins);
    for ((bin, _), answer) in taken.iter().zip(answers) {
        strings[*bin as usize] = answer;
    }
    let own = terms.values_of(Party::Receiver).map(|_| {
        let value = |item: &Option<u32>| item.map_or(0, |item| value(set, values, item as usize));
        table.iter().map(value).collect()
    });
    let shared = Shared {
        bins,
        matches: Vec::new(),
        rows: table.iter().map(|item| item.map(|item| set.place(item as usize))).collect(),
        payload: terms.payload().then(|| strings.iter().map(|string| upper(*string)).collect()),
        own,
    };
    Ok((strings, shared))
}

/// The sender's strings, and all of its part but the bits.
fn send(
    terms: &Terms,
    function: &mut crate::opprf::Sender,
    session: &mut Session<'_>,
    set: &Set,
    values: &[i64],
) -> Result<(Vec<u128>, Shared), Fault> {
    let bins = terms.bins();
    let hasher = cuckoo::Hasher::new(session.binding());
    // The lower bytes of a bin's block are its string, the upper half its share of a value where there is one.
    let strings = session.stream(b"circuit sender").blocks(bins);
    let choices = hasher.choices(set.items(), bins);
    let mut keys: Vec<u128> = set.items().iter().flat_map(|item| [*item; 3]).collect();
    hasher.keys(&mut keys, |index| choices[index / 3][index % 3]);
    let low = u128::MAX >> (128 - 8 * terms.string_bytes());
    let programmed: Vec<(u128, u128)> = keys
        .into_iter()
        .enumerate()
        .map(|(index, key)| {
            let string = strings[choices[index / 3][index % 3] as usize];
            let share = value(set, values, index / 3).wrapping_sub(upper(string));
            let payload = if terms.payload() { u128::from(share) << 64 } else { 0 };
            (key, payload | string & low)
        })
        .collect();
    function.run(session, &programmed)?;
    let payload = terms.payload().then(|| strings.iter().map(|string| upper(*string)).collect());
    let shared = Shared { bins, matches: Vec::new(), rows: Vec::new(), payload, own: None };
    Ok((strings, shared))
}

fn upper(block: u128) -> u64 {
    (block >> 64) as u64
}
