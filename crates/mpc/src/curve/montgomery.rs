//! Curve25519 by u-coordinates, many at a time.
//!
//! A u-coordinate stands for a point and its negative. The curve has 8·ℓ points, its twist 4 times a prime.
//!
//! *Secrets* are clamped: α = 8a with 2^251 ≤ a < 2^252. Multiples of 8 take every point of the curve into the subgroup of
//! prime order ℓ = 2^252 + 2^124.6…, and ±a meet every class but a share of 2^-126 of them exactly once: for a point Q on
//! the curve, u(α·Q) is as good as uniform over the subgroup's u-coordinates, whatever Q is.
//!
//! *The inverse* is clamped for the same reason: with w = ±(8α)^-1 mod ℓ in [2^251, 2^252), which one of the two signs is,
//! 8w·α = ±1 on the subgroup.
//!
//! *Points of a peer* are to be canonical, on the curve and not on the twist (u³ + A·u² + u is a square), and not of an
//! order that divides 8 (the product is zero then). An honest peer's always are.
//!
//! *Items* are hashed to a field element (255 bits of a hash: 2^-250 from uniform) and mapped by Elligator 2. Only one
//! map is taken, so about half of the curve is met, evenly: that is RFC 9380's encoding and not its random oracle.
//! The proofs need points that look like hashes with logarithms that are known: take multiples of the base, with a
//! random point of order 8 added, until one is in the map's image, which every second is, and invert the map.

use curve25519_dalek::scalar::Scalar;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{Zeroize, Zeroizing};

use super::clamped;
use crate::fault::Fault;
use crate::hash::{derive, domain};
use crate::kernel;
use crate::random::Stream;
use crate::step::Step;

/// Two scalars, of which each undoes the other.
#[derive(Clone, Zeroize)]
pub(crate) struct Secret {
    scalar: [u8; 32],
    inverse: [u8; 32],
}

impl Secret {
    /// A uniform clamped scalar, of those (all but 2^-126) that have a clamped inverse.
    pub(super) fn new(stream: &mut Stream) -> Self {
        loop {
            let scalar = Zeroizing::new(stream.bytes32());
            if let Some(secret) = Self::of(&scalar) {
                return secret;
            }
        }
    }

    /// Of 32 bytes, clamped.
    pub(super) fn of(bytes: &[u8; 32]) -> Option<Self> {
        let scalar = clamped(*bytes);
        let alpha = Zeroizing::new(Scalar::from_bytes_mod_order(scalar));
        let w = Zeroizing::new((*alpha * Scalar::from(8u8)).invert());
        let (one, other) = (Zeroizing::new(w.to_bytes()), Zeroizing::new((-*w).to_bytes()));
        // From 2^251 to 2^252 − 1: of the five highest bits the lowest alone. Both are below 2^253.
        let fits = |w: &[u8; 32]| (w[31] & 0b1111_1000).ct_eq(&0b0000_1000);
        let (fits_one, fits_other): (Choice, Choice) = (fits(&one), fits(&other));
        let mut inverse = [0; 32];
        let mut carry = 0;
        for (out, (one, other)) in inverse.iter_mut().zip(one.iter().zip(other.iter())) {
            let byte = u8::conditional_select(other, one, fits_one);
            *out = byte << 3 | carry;
            carry = byte >> 5;
        }
        bool::from(fits_one | fits_other).then_some(Self { scalar, inverse })
    }

    pub(super) fn inverse(&self) -> Self {
        Self { scalar: self.inverse, inverse: self.scalar }
    }

    #[cfg(test)]
    pub(super) fn scalars(&self) -> [[u8; 32]; 2] {
        [self.scalar, self.inverse]
    }

    /// Each coordinate, multiplied as it is.
    pub(crate) fn multiply(&self, us: &mut [[u8; 32]]) {
        kernel::ladders(&self.scalar, us);
    }

    pub(super) fn of_items(&self, binding: &[u8; 32], items: &[u128]) -> Vec<u8> {
        let key = derive(domain::ECDH_FIELD, &[binding]);
        let field = |item: &u128| *blake3::keyed_hash(&key, &item.to_le_bytes()).as_bytes();
        let mut points: Vec<[u8; 32]> = items.iter().map(field).collect();
        kernel::maps(&mut points);
        self.multiply(&mut points);
        points.into_flattened()
    }

    pub(super) fn of_points(&self, points: &[u8], step: Step) -> Result<Vec<u8>, Fault> {
        let (points, _) = points.as_chunks::<32>();
        if !points.iter().all(is_canonical) {
            return Err(Fault::misbehaved(step, "32 bytes are no canonical coordinate"));
        }
        if !kernel::on_curve(points).into_iter().all(|on_curve| on_curve) {
            return Err(Fault::misbehaved(step, "a point is on the curve's twist"));
        }
        let mut products = points.to_vec();
        self.multiply(&mut products);
        if products.contains(&[0; 32]) {
            return Err(Fault::misbehaved(step, "a point of low order was sent"));
        }
        Ok(products.into_flattened())
    }
}

/// Below 2^255 − 19. The point is public.
fn is_canonical(u: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = u;
    *last < 127 || (*last == 127 && (*first < 237 || middle.iter().any(|byte| *byte != 255)))
}
