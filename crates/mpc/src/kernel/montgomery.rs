//! Curve25519 by u-coordinates: many points times one scalar, and many field elements mapped to points.
//!
//! Written once over [`Word`]; the portable and the eightfold version are the same lines. Scalars decide neither a branch
//! nor an address, and neither do coordinates: it is the same straight line for all of them, low orders included.

use super::limbs::{Element, Word};

/// Words of elements that are inverted together. The points of a batch (36 KB when eightfold) stay in the second-level
/// cache, and an inversion, a tenth of a ladder, is shared by 32.
const TOGETHER: usize = 32;

/// (A + 2)/4 − 1 for the curve v² = u³ + A·u² + u.
const A24: u64 = 121_665;
const A: u64 = 486_662;

/// Each number becomes the u-coordinate of `scalar` times the point that has it, zero for points that end at infinity.
/// All 255 lower bits of the scalar count; the highest bit of a number does not.
#[inline(always)]
pub(super) fn ladders<W: Word>(scalar: &[u8; 32], numbers: &mut [[u8; 32]]) {
    for batch in numbers.chunks_mut(TOGETHER * W::LANES) {
        let words = batch.len().div_ceil(W::LANES);
        let mut points = [(Element::<W>::of(0), Element::<W>::of(1)); TOGETHER];
        for (point, numbers) in points.iter_mut().zip(batch.chunks(W::LANES)) {
            *point = ladder(scalar, Element::read(numbers));
        }
        write_quotients(&mut points[..words], batch);
    }
}

/// RFC 7748 §5, with the observation that the sum of the two points does not change when they are swapped but for a sign
/// that is squared away: only what is doubled is chosen by the scalar.
#[inline(always)]
fn ladder<W: Word>(scalar: &[u8; 32], u: Element<W>) -> (Element<W>, Element<W>) {
    let (mut x2, mut z2) = (Element::of(1), Element::of(0));
    let (mut x3, mut z3) = (u, Element::of(1));
    let mut before = 0;
    for place in (0..255).rev() {
        let bit = u64::from((scalar[place / 8] >> (place % 8)) & 1);
        let swap = W::of(0u64.wrapping_sub(bit ^ before));
        before = bit;
        let (a, b) = (x2.plus(z2), x2.minus(z2));
        let (c, d) = (x3.plus(z3), x3.minus(z3));
        let aa = Element::choose(swap, c, a).squared();
        let bb = Element::choose(swap, d, b).squared();
        let (da, cb) = (d.times(a), c.times(b));
        x3 = da.plus(cb).squared();
        z3 = da.minus(cb).squared().times(u);
        x2 = aa.times(bb);
        let e = aa.minus(bb);
        z2 = e.times(e.scaled_plus(A24, aa));
    }
    let swap = W::of(0u64.wrapping_sub(before));
    (Element::choose(swap, x3, x2), Element::choose(swap, z3, z2))
}

/// Each number becomes the u-coordinate of its point under the map of RFC 9380 §6.7.1 (Elligator 2, Z = 2).
///
/// With d = 1 + 2r² the candidates are −A/d and A·(1 − d)/d, and whether the first is on the curve is the character
/// of −A·d·(A² − A²·d + d²), which is the curve's right side times d⁴.
#[inline(always)]
pub(super) fn maps<W: Word>(numbers: &mut [[u8; 32]]) {
    for batch in numbers.chunks_mut(TOGETHER * W::LANES) {
        let words = batch.len().div_ceil(W::LANES);
        let mut points = [(Element::<W>::of(0), Element::<W>::of(1)); TOGETHER];
        for (point, numbers) in points.iter_mut().zip(batch.chunks(W::LANES)) {
            *point = map(Element::read(numbers));
        }
        write_quotients(&mut points[..words], batch);
    }
}

#[inline(always)]
fn map<W: Word>(r: Element<W>) -> (Element<W>, Element<W>) {
    let (zero, one) = (Element::of(0), Element::of(1));
    let d = r.squared().scaled_plus(2, one);
    // A·(1 − d) and −A, both tight; A²·(1 − d) + d² is the sum above.
    let second = one.minus(d).scaled_plus(A, zero);
    let first = zero.minus(one).scaled_plus(A, zero);
    let sum = second.scaled_plus(A, d.squared());
    let outside = first.times(d).times(sum).character().minus_ones();
    (Element::choose(outside, second, first), d)
}

/// Ones for each number that is the u-coordinate of a point on the curve and not on its twist: u³ + A·u² + u is a square.
#[inline(always)]
pub(super) fn on_curve<W: Word>(numbers: &[[u8; 32]], found: &mut [bool]) {
    for (numbers, found) in numbers.chunks(W::LANES).zip(found.chunks_mut(W::LANES)) {
        let u = Element::<W>::read(numbers);
        let right = u.scaled_plus(A, u.squared()).plus(Element::of(1)).times(u);
        let outside = right.character().minus_ones().lanes();
        for (found, outside) in found.iter_mut().zip(outside) {
            *found = outside == 0;
        }
    }
}

/// x/z for each pair, zero where z is: one inversion for all (Montgomery's trick), lane by lane.
#[inline(always)]
fn write_quotients<W: Word>(pairs: &mut [(Element<W>, Element<W>)], numbers: &mut [[u8; 32]]) {
    let one = Element::of(1);
    let mut products = [one; TOGETHER];
    let mut product = one;
    for ((x, z), before) in pairs.iter_mut().zip(&mut products) {
        let canonical = z.canonical();
        let none = canonical.zeros();
        *z = Element::choose(none, one, canonical);
        *x = Element::choose(none, Element::of(0), *x);
        *before = product;
        product = product.times(*z);
    }
    let mut inverse = product.inverse();
    let chunks = numbers.chunks_mut(W::LANES);
    for (((x, z), before), numbers) in pairs.iter().zip(&products).zip(chunks).rev() {
        x.times(inverse.times(*before)).write(numbers);
        inverse = inverse.times(*z);
    }
}
