//! Intersection by Diffie and Hellman: the oblivious function `F(x) = H'(β·H(x))`, evaluated blindly (Jarecki and Liu 2010,
//! JKK14). And the size of an intersection alone.
//!
//! ```text
//!   receiver X                                   sender Y
//!              ──── blinded: α·H(x) ────────►
//!              ◄─── evaluated: β·α·H(x) ─────    shuffled, if only the size is to be learnt
//!              ◄─── masks: H'(β·H(Y)), sorted
//!   H'(α⁻¹·β·α·H(x)) is a mask, or not
//! ```
//!
//! All points are blinded with one α, so after a shuffle the receiver can unblind each without knowing whose it is: it
//! counts matches and learns nothing else. That is why the size is worked out here and not over [`super::Receiver`]: there
//! the receiver knows F of each of its own items, and a list of the sender's masks, shuffled or not, names the matches.
//!
//! [`part`] is the same in step with the peer, a batch at a time, for a run of [`super::Receiver`] and [`super::Sender`].
//!
//! Against a curious peer. A malicious receiver may put in other items; a malicious sender may answer at random. Both sets
//! are filled up to the agreed sizes. Curves, hashing to them and what is refused of a peer: [`crate::curve`].

pub(super) mod part;

use super::masks::{Code, join, sorted};
use super::{Set, log2_up};
use crate::curve::{Masks, Secret, Suite};
use crate::fault::Fault;
use crate::limits::{ECDH_BATCH, MAX_ECDH_ITEMS, MAX_ITEMS, STATISTICAL_BITS};
use crate::random::Stream;
use crate::session::{Session, Setting};
use crate::step::Step;

/// What the receiver learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    /// Which of its items the sender has too.
    Items,
    /// How many.
    Size,
}

/// What both parties agree on before a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub suite: Suite,
    pub reveal: Reveal,
    pub receiver_items: u64,
    pub sender_items: u64,
}

/// What the receiver learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// Places in the caller's list, rising.
    Items(Vec<u32>),
    Size(u64),
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"psi-ecdh".to_vec();
        bytes.push(self.suite.code() << 1 | u8::from(self.reveal == Reveal::Size));
        bytes.extend_from_slice(&self.receiver_items.to_le_bytes());
        bytes.extend_from_slice(&self.sender_items.to_le_bytes());
        bytes
    }

    fn mask_bits(&self) -> u32 {
        STATISTICAL_BITS + log2_up(self.receiver_items) + log2_up(self.sender_items)
    }

    /// What makes masks of points in a session.
    fn masker(&self, session: &Session<'_>) -> impl Fn(&[u8]) -> u128 + use<> {
        let (masks, bits) = (Masks::new(self.suite, session.binding()), self.mask_bits());
        move |point| masks.of(point) & (u128::MAX >> (128 - bits))
    }

    /// Both sizes, within bounds.
    fn counts(&self) -> Result<(usize, usize), Fault> {
        let most = match self.suite {
            Suite::Curve25519 => MAX_ITEMS,
            Suite::Ristretto255 | Suite::Sm2 => MAX_ECDH_ITEMS,
        };
        let bounded = |count: u64| {
            let too_many = Fault::TooMany { what: "items of an ECDH session", count, most };
            if count > most { Err(too_many) } else { usize::try_from(count).map_err(|_| too_many) }
        };
        Ok((bounded(self.receiver_items)?, bounded(self.sender_items)?))
    }
}

/// The receiver's whole session.
pub fn receive(setting: Setting<'_>, terms: &Terms, set: &Set) -> Result<Learnt, Fault> {
    set.fits(terms.receiver_items)?;
    let (count, their_count) = terms.counts()?;
    let mut session = Session::open(setting, &terms.bytes())?;
    let mut own = session.stream(b"ecdh receiver");
    let alpha = Secret::new(terms.suite, &mut own);
    let binding = *session.binding();
    blind(&mut session, &alpha, (&binding, set.items()), count, &mut own, Step::Blinded)?;
    let mask = terms.masker(&session);
    let mut masks = Vec::with_capacity(count);
    unblind(&mut session, &alpha, count, terms.suite, Step::Evaluated, |_, point| {
        masks.push(mask(point));
    })?;
    let code = Code::new(their_count, terms.mask_bits());
    let theirs = code.read(&session.receive(Step::Masks, code.bytes())?)?;
    let mut found: Vec<u32> = Vec::new();
    let own = sorted(&masks, terms.mask_bits());
    join(&own, &theirs, |own_index, _| found.push(own[own_index].1));
    found.sort_unstable();
    found.dedup();
    Ok(match terms.reveal {
        Reveal::Size => Learnt::Size(found.len() as u64),
        Reveal::Items => {
            let real =
                found.into_iter().map(|index| index as usize).filter(|index| *index < set.len());
            let mut places: Vec<u32> = real.map(|index| set.place(index)).collect();
            places.sort_unstable();
            Learnt::Items(places)
        }
    })
}

/// The sender's whole session.
pub fn send(setting: Setting<'_>, terms: &Terms, set: &Set) -> Result<(), Fault> {
    set.fits(terms.sender_items)?;
    let (their_count, count) = terms.counts()?;
    let mut session = Session::open(setting, &terms.bytes())?;
    let mut own = session.stream(b"ecdh sender");
    let beta = Secret::new(terms.suite, &mut own);
    let size = terms.suite.point_bytes();
    let mut evaluated = evaluate(&mut session, &beta, their_count, size, Step::Blinded)?;
    if terms.reveal == Reveal::Size {
        shuffle(&mut evaluated, size, &mut own);
    }
    for batch in evaluated.chunks(ECDH_BATCH * size) {
        session.send(Step::Evaluated, batch)?;
    }
    let masks = masks(&session, &beta, terms, set, count, &mut own)?;
    let list: Vec<u128> =
        sorted(&masks, terms.mask_bits()).into_iter().map(|(mask, _)| mask).collect();
    session.send(Step::Masks, &Code::new(count, terms.mask_bits()).write(&list))
}

/// Says `count` blinded points: those of `items` under a binding, then those of random ones, which nobody can tell from them.
pub(crate) fn blind(
    session: &mut Session<'_>,
    alpha: &Secret,
    (binding, items): (&[u8; 32], &[u128]),
    count: usize,
    own: &mut Stream,
    step: Step,
) -> Result<(), Fault> {
    let mut done = 0;
    while done < count {
        let batch = (count - done).min(ECDH_BATCH);
        let batch_items = filled(items, (done, batch), own);
        session.send(step, &alpha.of_items(binding, &batch_items)?)?;
        done += batch;
        session.progress(step, done, count)?;
    }
    Ok(())
}

/// So many of the items from one on, and random ones where there are no more.
fn filled(items: &[u128], (begin, count): (usize, usize), own: &mut Stream) -> Vec<u128> {
    let mut filled: Vec<u128> = items.iter().skip(begin).take(count).copied().collect();
    filled.resize_with(count, || own.block());
    filled
}

/// Hears `count` points and multiplies them.
pub(crate) fn evaluate(
    session: &mut Session<'_>,
    beta: &Secret,
    count: usize,
    point_bytes: usize,
    step: Step,
) -> Result<Vec<u8>, Fault> {
    let mut evaluated = Vec::with_capacity(count * point_bytes);
    let mut done = 0;
    while done < count {
        let batch = (count - done).min(ECDH_BATCH);
        let message = session.receive(step, batch * point_bytes)?;
        evaluated.extend_from_slice(&beta.of_points(&message, step)?);
        done += batch;
        session.progress(step, done, count)?;
    }
    Ok(evaluated)
}

/// Hears `count` points and gives each, with its number and unblinded, to `each`.
pub(crate) fn unblind(
    session: &mut Session<'_>,
    alpha: &Secret,
    count: usize,
    suite: Suite,
    step: Step,
    mut each: impl FnMut(usize, &[u8]),
) -> Result<(), Fault> {
    let inverse = alpha.inverse();
    let mut done = 0;
    while done < count {
        let batch = (count - done).min(ECDH_BATCH);
        let message = session.receive(step, batch * suite.point_bytes())?;
        let points = inverse.of_points(&message, step)?;
        for (index, point) in (done..).zip(points.chunks_exact(suite.point_bytes())) {
            each(index, point);
        }
        done += batch;
        session.progress(step, done, count)?;
    }
    Ok(())
}

fn masks(
    session: &Session<'_>,
    beta: &Secret,
    terms: &Terms,
    set: &Set,
    count: usize,
    own: &mut Stream,
) -> Result<Vec<u128>, Fault> {
    let mask = terms.masker(session);
    let mut masks = Vec::with_capacity(count);
    for batch in set.items().chunks(ECDH_BATCH) {
        let points = beta.of_items(session.binding(), batch)?;
        let points = points.chunks_exact(terms.suite.point_bytes());
        masks.extend(points.map(&mask));
        session.progress(Step::Masks, masks.len(), count)?;
    }
    masks.resize_with(count, || own.block() & (u128::MAX >> (128 - terms.mask_bits())));
    Ok(masks)
}

/// Fisher and Yates, of points that stand one after the other.
fn shuffle(points: &mut [u8], size: usize, own: &mut Stream) {
    for last in (1..points.len() / size).rev() {
        let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
        let other = own.below(bound) as usize;
        let (before, after) = points.split_at_mut(last * size);
        if let Some(other) = before.get_mut(other * size..(other + 1) * size) {
            other.swap_with_slice(&mut after[..size]);
        }
    }
}
