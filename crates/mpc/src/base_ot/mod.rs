//! Base oblivious transfers on ristretto255, after Masny and Rindal ("Endemic Oblivious Transfer", CCS 2019).
//!
//! For each transfer the sender of the OT says `A = a·G`. The receiver with choice b takes a point `R_{1−b}` of which it
//! knows no logarithm and says `R_b = x·G − H_b(R_{1−b})` beside it. The keys are `KDF(a·(R_j + H_j(R_{1−j})))`, of which the
//! receiver can work out the one of its choice as `KDF(x·A)`. Secure against malicious parties in the random-oracle model:
//! the authors prove it under *choose-and-open* DDH, an assumption made for it. That the computational Diffie–Hellman assumption in its
//! strong form is enough, as the KDF hashes all that was said, is expected here and not proved. Keys are random, though a malicious
//! party may choose its own (*endemic*), which is all that is needed.
//!
//! Ristretto has prime order and only canonical encodings decode, so there are no small subgroups and no twists to test
//! for; the neutral element is refused. Choices and logarithms never decide a branch or an address.

pub mod ideal;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use subtle::{Choice, ConditionallySelectable as _};
use zeroize::Zeroize as _;

use crate::fault::Fault;
use crate::hash::{derive, derive_into, domain, half};
use crate::session::Session;
use crate::step::Step;

/// Bytes of a point on the wire.
pub(crate) const POINT_BYTES: usize = 32;

/// `count` transfers as their sender: both keys of each.
pub fn send(session: &mut Session<'_>, count: usize) -> Result<Vec<[u128; 2]>, Fault> {
    let mut stream = session.stream(b"base ot sender");
    let mut secrets: Vec<Scalar> = (0..count).map(|_| stream.scalar()).collect();
    let points: Vec<[u8; POINT_BYTES]> =
        secrets.iter().map(|a| RistrettoPoint::mul_base(a).compress().to_bytes()).collect();
    session.send(Step::BaseOtPoints, &points.concat())?;
    let replies = session.receive(Step::BaseOtReplies, count * 2 * POINT_BYTES)?;
    let mut keys = Vec::with_capacity(count);
    for (index, ((reply, a), point)) in
        replies.chunks_exact(2 * POINT_BYTES).zip(&secrets).zip(&points).enumerate()
    {
        let (zero, one) = reply.split_at(POINT_BYTES);
        let points = [decode(zero, Step::BaseOtReplies)?, decode(one, Step::BaseOtReplies)?];
        let tag = Tag { binding: session.binding(), index };
        let shared = |j: usize, other: &[u8]| {
            let shared = a * (points[j] + tag.point(j, other));
            tag.key(&shared, point, reply)
        };
        keys.push([shared(0, one), shared(1, zero)]);
        session.progress(Step::BaseOtReplies, index + 1, count)?;
    }
    secrets.zeroize();
    Ok(keys)
}

/// One transfer per choice (each 0 or 1) as their receiver: the key of each choice.
pub fn receive(session: &mut Session<'_>, choices: &[u8]) -> Result<Vec<u128>, Fault> {
    let mut stream = session.stream(b"base ot receiver");
    let points = session.receive(Step::BaseOtPoints, choices.len() * POINT_BYTES)?;
    let mut replies = Vec::with_capacity(choices.len() * 2 * POINT_BYTES);
    let mut keys = Vec::with_capacity(choices.len());
    for (index, (point, choice)) in points.chunks_exact(POINT_BYTES).zip(choices).enumerate() {
        let base = decode(point, Step::BaseOtPoints)?;
        let tag = Tag { binding: session.binding(), index };
        let choice = Choice::from(choice & 1);
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&stream.bytes32());
        wide[32..].copy_from_slice(&stream.bytes32());
        let other = RistrettoPoint::from_uniform_bytes(&wide);
        let other_bytes = other.compress().to_bytes();
        let mut x = stream.scalar();
        // Both hashes are worked out, so that the time tells nothing about the choice.
        let hashed = RistrettoPoint::conditional_select(
            &tag.point(0, &other_bytes),
            &tag.point(1, &other_bytes),
            choice,
        );
        let chosen = RistrettoPoint::mul_base(&x) - hashed;
        let zero = RistrettoPoint::conditional_select(&chosen, &other, choice);
        let one = RistrettoPoint::conditional_select(&other, &chosen, choice);
        let begin = replies.len();
        replies.extend_from_slice(zero.compress().as_bytes());
        replies.extend_from_slice(one.compress().as_bytes());
        keys.push(tag.key(&(x * base), point, &replies[begin..]));
        x.zeroize();
        session.progress(Step::BaseOtPoints, index + 1, choices.len())?;
    }
    session.send(Step::BaseOtReplies, &replies)?;
    Ok(keys)
}

/// A point of a peer: canonical and not neutral.
pub(crate) fn decode(bytes: &[u8], step: Step) -> Result<RistrettoPoint, Fault> {
    let point = CompressedRistretto::from_slice(bytes).ok().and_then(|point| point.decompress());
    let point =
        point.ok_or_else(|| Fault::misbehaved(step, "32 bytes are no point of the group"))?;
    if point.is_identity() {
        return Err(Fault::misbehaved(step, "the neutral element was sent for a point"));
    }
    Ok(point)
}

/// What separates one transfer's hashes from all others'.
struct Tag<'a> {
    binding: &'a [u8; 32],
    index: usize,
}

impl Tag<'_> {
    /// `H_j`: a point of unknown logarithm.
    fn point(&self, j: usize, other: &[u8]) -> RistrettoPoint {
        let mut wide = [0; 64];
        let place = [(self.index as u64).to_le_bytes(), (j as u64).to_le_bytes()].concat();
        derive_into(domain::BASE_OT_POINT, &[self.binding, &place, other], &mut wide);
        RistrettoPoint::from_uniform_bytes(&wide)
    }

    fn key(&self, shared: &RistrettoPoint, point: &[u8], reply: &[u8]) -> u128 {
        let place = (self.index as u64).to_le_bytes();
        let shared = shared.compress();
        half(&derive(domain::BASE_OT_KEY, &[self.binding, &place, shared.as_bytes(), point, reply]))
    }
}

#[cfg(test)]
mod tests;
