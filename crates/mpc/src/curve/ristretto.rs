//! ristretto255 (RFC 9496): prime order, one encoding per element, nothing to test for but the neutral element.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroize;

use crate::base_ot::{POINT_BYTES, decode};
use crate::fault::Fault;
use crate::hash::{derive_into, domain};
use crate::random::Stream;
use crate::step::Step;

#[derive(Zeroize)]
pub(crate) struct Secret(Scalar);

impl Secret {
    pub(super) fn new(stream: &mut Stream) -> Self {
        Self(stream.scalar())
    }

    pub(super) fn inverse(&self) -> Self {
        Self(self.0.invert())
    }

    pub(super) fn of_items(&self, binding: &[u8; 32], items: &[u128]) -> Vec<u8> {
        let mut points = Vec::with_capacity(items.len() * POINT_BYTES);
        for item in items {
            let mut wide = [0; 64];
            derive_into(domain::ECDH_ITEM, &[binding, &item.to_le_bytes()], &mut wide);
            let point = self.0 * RistrettoPoint::from_uniform_bytes(&wide);
            points.extend_from_slice(point.compress().as_bytes());
        }
        points
    }

    pub(super) fn of_points(&self, points: &[u8], step: Step) -> Result<Vec<u8>, Fault> {
        let mut products = Vec::with_capacity(points.len());
        for point in points.chunks_exact(POINT_BYTES) {
            let point = self.0 * decode(point, step)?;
            products.extend_from_slice(point.compress().as_bytes());
        }
        Ok(products)
    }
}
