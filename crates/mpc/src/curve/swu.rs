//! Hashing to a curve y² = x³ − 3x + b by the simplified SWU map, as RFC 9380 has it: `hash_to_curve` with
//! `expand_message_xmd`, for p = 3 mod 4 of 256 bits and prime order.
//!
//! Written over the curve so that tests run it on P-256, for which the RFC has vectors. Inverses, roots and choices take the
//! same time for all inputs (the crates' arithmetic is constant time, and nothing here branches on an element).

use sm2::elliptic_curve::ff::{Field, PrimeField as _};
use sm2::elliptic_curve::hazmat::FieldArithmetic;
use sm2::elliptic_curve::point::DecompressPoint;
use sm2::elliptic_curve::subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use sm2::elliptic_curve::{AffinePoint, FieldBytes, ProjectivePoint};
use sm3::digest::Digest;

/// Bytes of hash per field element: 256 bits and 128 more, so that the remainder is uniform but for 2^-128.
const WIDE_BYTES: usize = 48;

/// What RFC 9380 calls a suite.
pub(super) struct Profile {
    /// The domain separation tag.
    pub(super) tag: &'static [u8],
    /// b of the curve, highest byte first.
    pub(super) b: [u8; 32],
    /// −Z: Z is the first number that RFC 9380 H.2 finds.
    pub(super) minus_z: u64,
}

/// A point without a known logarithm, indifferentiable from a random oracle. None never happens: it would be a map that
/// leaves the curve.
pub(super) fn hash_to_curve<C, D>(
    profile: &Profile,
    message: &[&[u8]],
) -> Option<ProjectivePoint<C>>
where
    C: FieldArithmetic,
    AffinePoint<C>: DecompressPoint<C>,
    ProjectivePoint<C>: From<AffinePoint<C>>,
    D: Digest,
{
    let wide = expand::<D>(profile.tag, message);
    let (one, other) = wide.split_at(WIDE_BYTES);
    let one = map::<C>(profile, field::<C>(one))?;
    let other = map::<C>(profile, field::<C>(other))?;
    Some(ProjectivePoint::<C>::from(one) + ProjectivePoint::<C>::from(other))
}

/// `expand_message_xmd` (§5.3.1) to as many bytes as two field elements take, for hashes of 32 bytes in blocks of 64.
fn expand<D: Digest>(tag: &[u8], message: &[&[u8]]) -> [u8; 2 * WIDE_BYTES] {
    let mut out = [0; 2 * WIDE_BYTES];
    let tag_length = [u8::try_from(tag.len()).unwrap_or(u8::MAX)];
    let mut first = D::new_with_prefix([0; 64]);
    for part in message {
        first.update(part);
    }
    first.update([0, 96, 0]);
    let first = first.chain_update(tag).chain_update(tag_length).finalize();
    let mut before = [0; 32];
    for (number, block) in (1u8..).zip(out.chunks_exact_mut(32)) {
        for (before, first) in before.iter_mut().zip(&first) {
            *before ^= first;
        }
        let hash = D::new_with_prefix(before).chain_update([number]);
        let hash = hash.chain_update(tag).chain_update(tag_length).finalize();
        before.copy_from_slice(&hash);
        block.copy_from_slice(&hash);
    }
    out
}

/// The remainder of a number whose highest byte is first (§5.2).
fn field<C: FieldArithmetic>(wide: &[u8]) -> C::FieldElement {
    let shift = C::FieldElement::from(1 << 32).square();
    let (words, _) = wide.as_chunks::<8>();
    words.iter().fold(C::FieldElement::ZERO, |sum, word| {
        sum * shift + C::FieldElement::from(u64::from_be_bytes(*word))
    })
}

/// §6.6.2. The sign of y is that of u, which is what decompression takes.
fn map<C>(profile: &Profile, u: C::FieldElement) -> Option<AffinePoint<C>>
where
    C: FieldArithmetic,
    AffinePoint<C>: DecompressPoint<C>,
{
    type Element<C> = <C as FieldArithmetic>::FieldElement;
    let bytes = FieldBytes::<C>::try_from(profile.b.as_slice()).ok()?;
    let b: Element<C> = Option::from(Element::<C>::from_repr(bytes))?;
    let a = -Element::<C>::from(3);
    let z = -Element::<C>::from(profile.minus_z);
    let zu2 = z * u.square();
    let sum = zu2.square() + zu2;
    let exceptional = sum.ct_eq(&Element::<C>::ZERO);
    // −b/a · (1 + 1/sum), or b/(z·a) where the sum is zero: one inversion for both.
    let numerator =
        Element::<C>::conditional_select(&(-b * (sum + Element::<C>::ONE)), &b, exceptional);
    let denominator = a * Element::<C>::conditional_select(&sum, &z, exceptional);
    let inverse: Element<C> = Option::from(Field::invert(&denominator))?;
    let x1 = numerator * inverse;
    let right: Element<C> = (x1.square() + a) * x1 + b;
    let x = Element::<C>::conditional_select(&(zu2 * x1), &x1, right.sqrt().is_some());
    Option::from(AffinePoint::<C>::decompress(&x.to_repr(), u.is_odd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9380, appendix J.1.1: message, x and y.
    const P256: [[&str; 3]; 3] = [
        [
            "",
            "2c15230b26dbc6fc9a37051158c95b79656e17a1a920b11394ca91c44247d3e4",
            "8a7a74985cc5c776cdfe4b1f19884970453912e9d31528c060be9ab5c43e8415",
        ],
        [
            "abc",
            "0bb8b87485551aa43ed54f009230450b492fead5f1cc91658775dac4a3388a0f",
            "5c41b3d0731a27a7b14bc0bf0ccded2d8751f83493404c84a88e71ffd424212e",
        ],
        [
            "abcdef0123456789",
            "65038ac8f2b1def042a5df0b33b1f4eca6bff7cb0f9c6c1526811864e544ed80",
            "cad44d40a656e7aff4002a8de287abc8ae0482b5ae825822bb870d6df9b56ca3",
        ],
    ];

    #[test]
    fn the_map_is_that_of_rfc_9380_on_p_256() {
        use p256::elliptic_curve::sec1::ToSec1Point as _;
        let hex = |text: &str| -> [u8; 32] {
            std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        };
        let profile = Profile {
            tag: b"QUUX-V01-CS02-with-P256_XMD:SHA-256_SSWU_RO_",
            b: hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
            minus_z: 10,
        };
        for [message, x, y] in P256 {
            let (one, other) = message.split_at(message.len() / 2);
            let parts = [one.as_bytes(), other.as_bytes()];
            let point = hash_to_curve::<p256::NistP256, sha2::Sha256>(&profile, &parts).unwrap();
            let point = point.to_affine().to_sec1_point(false);
            assert_eq!(point.as_bytes()[1..], [hex(x), hex(y)].concat());
        }
    }
}
