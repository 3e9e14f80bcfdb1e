//! The curve of SM2 (GB/T 32918.5), with SM3 where items become points and points become masks.
//!
//! Prime order, so a peer's point needs to be on the curve and not neutral, nothing else. Hashing to the curve is RFC 9380's
//! construction under a profile of ours, `SM2_XMD:SM3_SSWU_RO_` with Z = −9: no standard names one. What binds a session
//! (identifiers, terms, nonces) is hashed with BLAKE3 as in every session.

use sm2::elliptic_curve::BatchNormalize as _;
use sm2::elliptic_curve::ff::PrimeField as _;
use sm2::elliptic_curve::group::GroupEncoding as _;
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, Sm2};
use sm3::Sm3;
use sm3::digest::Digest as _;
use zeroize::Zeroize;

use super::swu::{Profile, hash_to_curve};
use crate::fault::Fault;
use crate::random::Stream;
use crate::step::Step;

/// A byte for the sign of y and 32 for x.
pub(super) const POINT_BYTES: usize = 33;

const PROFILE: Profile = Profile {
    tag: b"TIDM-V01-CS01-with-SM2_XMD:SM3_SSWU_RO_",
    b: [
        0x28, 0xe9, 0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09,
        0xa7, 0xf3, 0x97, 0x89, 0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94,
        0x0e, 0x93,
    ],
    minus_z: 9,
};

/// The first 128 bits of SM3 over a tag, the binding and the point, all of fixed length.
pub(super) fn mask(binding: &[u8; 32], point: &[u8]) -> u128 {
    let hash = Sm3::new_with_prefix(b"tidm mpc 1 sm2 mask");
    let hash = hash.chain_update(binding).chain_update(point).finalize();
    let mut low = [0; 16];
    low.copy_from_slice(&hash[..16]);
    u128::from_le_bytes(low)
}

#[derive(Zeroize)]
pub(crate) struct Secret(Scalar);

impl Secret {
    /// Uniform below the order (of 2^32 numbers of 256 bits all but one are), and not zero.
    pub(super) fn new(stream: &mut Stream) -> Self {
        loop {
            let scalar = Scalar::from_repr(FieldBytes::from(stream.bytes32()));
            match Option::from(scalar) {
                Some(scalar) if scalar != Scalar::ZERO => return Self(scalar),
                _ => {}
            }
        }
    }

    pub(super) fn inverse(&self) -> Self {
        Self(self.0.invert().unwrap_or(Scalar::ZERO))
    }

    pub(super) fn of_items(&self, binding: &[u8; 32], items: &[u128]) -> Result<Vec<u8>, Fault> {
        let points = items.iter().map(|item| {
            let message: [&[u8]; 2] = [binding, &item.to_le_bytes()];
            let point = hash_to_curve::<Sm2, Sm3>(&PROFILE, &message);
            Ok(point.ok_or(Fault::ApiMisuse("the map to the curve left it"))? * self.0)
        });
        Ok(encoded(&points.collect::<Result<Vec<_>, Fault>>()?))
    }

    pub(super) fn of_points(&self, points: &[u8], step: Step) -> Result<Vec<u8>, Fault> {
        let products = points.chunks_exact(POINT_BYTES).map(|bytes| {
            // SEC1 has more encodings than the two that are said here.
            let compressed = bytes.first().is_some_and(|sign| [2, 3].contains(sign));
            let point = compressed.then(|| bytes.try_into().ok()).flatten();
            let point =
                point.and_then(|bytes| Option::<AffinePoint>::from(AffinePoint::from_bytes(bytes)));
            match point {
                Some(point) if !bool::from(point.is_identity()) => {
                    Ok(ProjectivePoint::from(point) * self.0)
                }
                _ => Err(Fault::misbehaved(step, "33 bytes are no point of the group")),
            }
        });
        Ok(encoded(&products.collect::<Result<Vec<_>, _>>()?))
    }
}

/// One inversion for all.
fn encoded(points: &[ProjectivePoint]) -> Vec<u8> {
    let affine = ProjectivePoint::batch_normalize(points);
    affine.iter().flat_map(|point| point.to_bytes()).collect()
}
