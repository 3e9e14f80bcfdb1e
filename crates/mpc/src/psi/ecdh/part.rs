//! F of all items of a run, by points on Curve25519: the receiver's blindly, the sender's by itself, in step with each other.
//!
//! ```text
//!   receiver                                     sender
//!       ──── blinded, batch 1 ────────────►
//!   blinds batch 2                               evaluates batch 1
//!       ◄─── evaluated, batch 1 ───────────
//!       ──── blinded, batch 2 ────────────►
//!   unblinds batch 1                             works out masks of its own items, as many
//! ```
//!
//! So both work all the time on two cores, and never say something large to each other at once: no line has to hold it. Secrets
//! and points are new in every run.
//!
//! Both work on as many items as were agreed, random ones where they have fewer, so neither lengths nor times tell how many are
//! real. Threats are those of [`super`]: against a curious peer; points of a peer that are none end the run.

use super::super::Terms;
use super::filled;
use crate::curve::{Masks, Secret, Suite};
use crate::fault::Fault;
use crate::limits::ECDH_PART_BATCH;
use crate::session::Session;
use crate::step::Step;

const SUITE: Suite = Suite::Curve25519;

/// Where each batch begins, and its items.
fn batches(items: u64) -> impl Iterator<Item = (usize, usize)> {
    let count = size(items);
    (0..count)
        .step_by(ECDH_PART_BATCH)
        .map(move |begin| (begin, (count - begin).min(ECDH_PART_BATCH)))
}

fn size(items: u64) -> usize {
    usize::try_from(items).unwrap_or(usize::MAX)
}

/// The receiver's: the masks of its items.
pub(in crate::psi) fn ask(
    session: &mut Session<'_>,
    terms: &Terms,
    run: &[u8; 32],
    items: &[u128],
) -> Result<Vec<u128>, Fault> {
    let mut own = session.stream(b"ecdh receiver");
    let alpha = Secret::new(SUITE, &mut own);
    let inverse = alpha.inverse();
    let (hash, keep) = (Masks::new(SUITE, run), terms.keep());
    let mut blinded = |batch| alpha.of_items(run, &filled(items, batch, &mut own));
    let mut masks = Vec::with_capacity(items.len());
    let mut later = batches(terms.receiver_items);
    let mut asked = later.next();
    if let Some(batch) = asked {
        session.send(Step::Blinded, &blinded(batch)?)?;
    }
    while let Some((begin, length)) = asked {
        asked = later.next();
        let following = asked.map(&mut blinded).transpose()?;
        let evaluated = session.receive(Step::Evaluated, length * SUITE.point_bytes())?;
        if let Some(points) = following {
            session.send(Step::Blinded, &points)?;
        }
        let points = inverse.of_points(&evaluated, Step::Evaluated)?;
        let real = items.len().saturating_sub(begin);
        let points = points.chunks_exact(SUITE.point_bytes()).take(real);
        masks.extend(points.map(|point| hash.of(point) & keep));
        session.progress(Step::Evaluated, begin + length, size(terms.receiver_items))?;
    }
    Ok(masks)
}

/// The sender's: answers, and gives the masks of its items and of as many random ones as fill them up.
pub(in crate::psi) fn answer(
    session: &mut Session<'_>,
    terms: &Terms,
    run: &[u8; 32],
    items: &[u128],
) -> Result<Vec<u128>, Fault> {
    let mut own = session.stream(b"ecdh sender");
    let beta = Secret::new(SUITE, &mut own);
    let (hash, keep, count) = (Masks::new(SUITE, run), terms.keep(), size(terms.sender_items));
    let mut masks = Vec::with_capacity(count);
    let mut mask = |session: &Session<'_>, batch| {
        let points = beta.of_items(run, &filled(items, batch, &mut own))?;
        let points = points.chunks_exact(SUITE.point_bytes());
        masks.extend(points.map(|point| hash.of(point) & keep));
        session.progress(Step::Masks, masks.len(), count)
    };
    let mut later = batches(terms.sender_items);
    for (_, length) in batches(terms.receiver_items) {
        let blinded = session.receive(Step::Blinded, length * SUITE.point_bytes())?;
        session.send(Step::Evaluated, &beta.of_points(&blinded, Step::Blinded)?)?;
        if let Some(batch) = later.next() {
            mask(session, batch)?;
        }
    }
    for batch in later {
        mask(session, batch)?;
    }
    Ok(masks)
}
