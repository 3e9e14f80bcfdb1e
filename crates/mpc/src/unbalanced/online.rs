//! The session: a client's blinded items to the server and back, and the look into the table.
//!
//! The server takes any point of the curve, so the client's queries are as many as were agreed and no more; it never learns
//! what was asked or found. All messages have lengths of the agreed size.

use super::table::{Index, Source};
use super::{Key, Last};
use crate::curve::{Secret, Suite};
use crate::fault::Fault;
use crate::limits::ECDH_BATCH;
use crate::psi::Set;
use crate::psi::ecdh::{blind, evaluate, unblind};
use crate::session::{Session, Setting};
use crate::step::Step;

/// What both parties agree on before a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// [`Index::digest`] of the table that both mean: it names version, key and every entry.
    pub table: [u8; 32],
    /// Items that the client asks about, or fills its list up to.
    pub client_items: u64,
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        [b"psi-table".as_slice(), &self.table, &self.client_items.to_le_bytes()].concat()
    }

    /// The agreed size, where this is the table and takes as many.
    fn count(&self, index: &Index) -> Result<usize, Fault> {
        if index.digest() != self.table {
            return Err(Fault::ApiMisuse("the index is not the one that was agreed on"));
        }
        let (count, most) = (self.client_items, index.header().client_items);
        let too_many = Fault::TooMany { what: "items of a client of this table", count, most };
        if count > most { Err(too_many) } else { usize::try_from(count).map_err(|_| too_many) }
    }
}

/// The client's whole session, as [`crate::session::Party::Receiver`]: places of its items that are in the table, rising.
pub fn query(
    setting: Setting<'_>,
    terms: &Terms,
    index: &Index,
    table: &mut dyn Source,
    set: &Set,
) -> Result<Vec<u32>, Fault> {
    set.fits(terms.client_items)?;
    let count = terms.count(index)?;
    let mut session = Session::open(setting, &terms.bytes())?;
    let mut own = session.stream(b"table client");
    let (suite, binding) = (Suite::Curve25519, index.header().binding());
    let alpha = Secret::new(suite, &mut own);
    let items = set.items();
    blind(&mut session, &alpha, (&binding, items), count, &mut own, Step::TableBlinded)?;
    let last = Last::new(&binding);
    let mut values = Vec::with_capacity(items.len());
    unblind(&mut session, &alpha, count, suite, Step::TableEvaluated, |number, point| {
        if let Some(item) = items.get(number) {
            values.push(last.of(*item, point));
        }
    })?;
    let found = index.find(&values, table)?;
    let mut places: Vec<u32> = found.into_iter().map(|number| set.place(number as usize)).collect();
    places.sort_unstable();
    Ok(places)
}

/// The server's whole session, as [`crate::session::Party::Sender`].
pub fn answer(setting: Setting<'_>, terms: &Terms, index: &Index, key: &Key) -> Result<(), Fault> {
    answer_if(setting, terms, index, key, || Ok(()))
}

/// As [`answer`]; `may` is asked once, before the first evaluated point leaves, so that a caller can count what a client gets.
pub fn answer_if(
    setting: Setting<'_>,
    terms: &Terms,
    index: &Index,
    key: &Key,
    may: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    let count = terms.count(index)?;
    index.header().check_key(key)?;
    let mut session = Session::open(setting, &terms.bytes())?;
    let size = Suite::Curve25519.point_bytes();
    let evaluated = evaluate(&mut session, &key.secret, count, size, Step::TableBlinded)?;
    may()?;
    for batch in evaluated.chunks(ECDH_BATCH * size) {
        session.send(Step::TableEvaluated, batch)?;
    }
    Ok(())
}
