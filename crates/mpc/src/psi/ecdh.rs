//! Intersection by Diffie and Hellman for small sets: the oblivious function `F(x) = H'(x, β·H(x))` on ristretto255
//! (2HashDH; Jarecki and Liu 2010, JKK14), evaluated blindly. And the size of an intersection alone.
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
//! Against a curious peer. A malicious receiver may put in other items; a malicious sender may answer at random. Both sets
//! are filled up to the agreed sizes. Items reach the curve through RFC 9496 §4.3.4 (element derivation) from 64 bytes
//! of a hash bound to the session: no logarithm is known, nothing lands on a twist.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use super::masks::{Code, join, sorted};
use super::{Set, log2_up};
use crate::base_ot::{POINT_BYTES, decode};
use crate::fault::Fault;
use crate::hash::{derive, derive_into, domain, half};
use crate::limits::{ECDH_BATCH, MAX_ECDH_ITEMS, STATISTICAL_BITS};
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
        bytes.push(u8::from(self.reveal == Reveal::Size));
        bytes.extend_from_slice(&self.receiver_items.to_le_bytes());
        bytes.extend_from_slice(&self.sender_items.to_le_bytes());
        bytes
    }

    fn mask_bits(&self) -> u32 {
        STATISTICAL_BITS + log2_up(self.receiver_items) + log2_up(self.sender_items)
    }

    /// Both sizes, within bounds.
    fn counts(&self) -> Result<(usize, usize), Fault> {
        let bounded = |count: u64| {
            let most = MAX_ECDH_ITEMS;
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
    let alpha = Zeroizing::new(own.scalar());
    let mut done = 0;
    while done < count {
        let batch = (count - done).min(ECDH_BATCH);
        let mut message = Vec::with_capacity(batch * POINT_BYTES);
        for index in done..done + batch {
            // What fills the set up is a random point: blinded ones are just that.
            let point = match set.items().get(index) {
                Some(item) => *alpha * hash_to_point(session.binding(), *item),
                None => random_point(&mut own),
            };
            message.extend_from_slice(point.compress().as_bytes());
        }
        session.send(Step::Blinded, &message)?;
        done += batch;
        session.progress(Step::Blinded, done, count)?;
    }
    let unblind = Zeroizing::new(alpha.invert());
    let mut masks = Vec::with_capacity(count);
    while masks.len() < count {
        let batch = (count - masks.len()).min(ECDH_BATCH);
        let message = session.receive(Step::Evaluated, batch * POINT_BYTES)?;
        for point in message.chunks_exact(POINT_BYTES) {
            let point = *unblind * decode(point, Step::Evaluated)?;
            masks.push(mask(&session, &point, terms.mask_bits()));
        }
        session.progress(Step::Evaluated, masks.len(), count)?;
    }
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
    let beta = Zeroizing::new(own.scalar());
    let mut evaluated = Vec::with_capacity(their_count);
    while evaluated.len() < their_count {
        let batch = (their_count - evaluated.len()).min(ECDH_BATCH);
        let message = session.receive(Step::Blinded, batch * POINT_BYTES)?;
        for point in message.chunks_exact(POINT_BYTES) {
            let point = *beta * decode(point, Step::Blinded)?;
            evaluated.push(point.compress().to_bytes());
        }
        session.progress(Step::Blinded, evaluated.len(), their_count)?;
    }
    if terms.reveal == Reveal::Size {
        shuffle(&mut evaluated, &mut own);
    }
    for batch in evaluated.chunks(ECDH_BATCH) {
        session.send(Step::Evaluated, &batch.concat())?;
    }
    let masks = masks(&session, &beta, terms, set, count, &mut own)?;
    let list: Vec<u128> =
        sorted(&masks, terms.mask_bits()).into_iter().map(|(mask, _)| mask).collect();
    session.send(Step::Masks, &Code::new(count, terms.mask_bits()).write(&list))
}

fn masks(
    session: &Session<'_>,
    beta: &Scalar,
    terms: &Terms,
    set: &Set,
    count: usize,
    own: &mut Stream,
) -> Result<Vec<u128>, Fault> {
    let bits = terms.mask_bits();
    let mut masks = Vec::with_capacity(count);
    for batch in set.items().chunks(ECDH_BATCH) {
        let points = batch.iter().map(|item| beta * hash_to_point(session.binding(), *item));
        masks.extend(points.map(|point| mask(session, &point, bits)));
        session.progress(Step::Masks, masks.len(), count)?;
    }
    masks.resize_with(count, || own.block() & (u128::MAX >> (128 - bits)));
    Ok(masks)
}

fn mask(session: &Session<'_>, point: &RistrettoPoint, bits: u32) -> u128 {
    let bytes = point.compress();
    half(&derive(domain::ECDH_MASK, &[session.binding(), bytes.as_bytes()]))
        & (u128::MAX >> (128 - bits))
}

fn hash_to_point(binding: &[u8; 32], item: u128) -> RistrettoPoint {
    let mut wide = [0; 64];
    derive_into(domain::ECDH_ITEM, &[binding, &item.to_le_bytes()], &mut wide);
    RistrettoPoint::from_uniform_bytes(&wide)
}

fn random_point(own: &mut Stream) -> RistrettoPoint {
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&own.bytes32());
    wide[32..].copy_from_slice(&own.bytes32());
    RistrettoPoint::from_uniform_bytes(&wide)
}

/// Fisher and Yates.
fn shuffle<T>(all: &mut [T], own: &mut Stream) {
    for last in (1..all.len()).rev() {
        let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
        all.swap(last, own.below(bound) as usize);
    }
}
