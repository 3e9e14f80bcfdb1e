//! The field of 2^255 − 19 in six limbs of 43 bits, written once for one element and for eight side by side.
//!
//! Multipliers take 52 bits. Limbs of 43 leave nine: sums and differences need no carrying before they are multiplied, and
//! the fold at 2^258 (8p = 2^258 − 152) fits a limb of the second factor, so products fall on their place at once. Five
//! limbs of 51 bits need fewer multiplications but a carry after each sum and a separate fold; they come out slower.
//!
//! Sizes. An element is *tight* when its limbs are below 2^43 + 2^22: what products, squares and `scaled_plus` give. It is
//! *loose* when they are below 2^44.6: a sum or difference of tight ones. Products take loose factors. No operation
//! branches on an element or looks anything up by one.

/// One number of 64 bits, or several side by side.
pub(super) trait Word: Copy {
    /// How many.
    const LANES: usize;

    fn of(number: u64) -> Self;
    fn of_lanes(lanes: [u64; 8]) -> Self;
    /// The numbers; zeros after the last.
    fn lanes(self) -> [u64; 8];
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn left<const BITS: u32>(self) -> Self;
    fn right<const BITS: u32>(self) -> Self;
    /// `self + (a·b mod 2^52)`, of the lower 52 bits of a and b.
    fn plus_low(self, a: Self, b: Self) -> Self;
    /// `self + ⌊a·b / 2^52⌋`, of the lower 52 bits of a and b.
    fn plus_high(self, a: Self, b: Self) -> Self;
    /// `a` where the mask has ones, `b` where zeros.
    fn choose(mask: Self, a: Self, b: Self) -> Self;
}

/// The portable word.
impl Word for u64 {
    const LANES: usize = 1;

    #[inline(always)]
    fn of(number: u64) -> Self {
        number
    }

    #[inline(always)]
    fn of_lanes(lanes: [u64; 8]) -> Self {
        lanes[0]
    }

    #[inline(always)]
    fn lanes(self) -> [u64; 8] {
        [self, 0, 0, 0, 0, 0, 0, 0]
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        self << BITS
    }

    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        self >> BITS
    }

    #[inline(always)]
    fn plus_low(self, a: Self, b: Self) -> Self {
        self.wrapping_add((a & LOW_52).wrapping_mul(b & LOW_52) & LOW_52)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the product of 52 bits has 104")]
    #[inline(always)]
    fn plus_high(self, a: Self, b: Self) -> Self {
        self.wrapping_add(((u128::from(a & LOW_52) * u128::from(b & LOW_52)) >> 52) as Self)
    }

    #[inline(always)]
    fn choose(mask: Self, a: Self, b: Self) -> Self {
        b ^ ((a ^ b) & mask)
    }
}

const LOW_52: u64 = (1 << 52) - 1;
const LOW_43: u64 = (1 << 43) - 1;
/// The sixth limb of a number below 2^255 has 40 bits.
const LOW_40: u64 = (1 << 40) - 1;
/// 2^258 mod p.
const FOLD: u64 = 152;
/// 16p, limb by limb at least as large as any tight element.
const SIXTEEN_P: [u64; 6] =
    [(1 << 44) - 304, (1 << 44) - 2, (1 << 44) - 2, (1 << 44) - 2, (1 << 44) - 2, (1 << 44) - 2];

/// One value per limb. Not a closure: nothing between a function for a processor and its intrinsics may stay a call.
macro_rules! six {
    ($k:ident => $value:expr) => {
        [
            six!(@ $k 0 $value),
            six!(@ $k 1 $value),
            six!(@ $k 2 $value),
            six!(@ $k 3 $value),
            six!(@ $k 4 $value),
            six!(@ $k 5 $value),
        ]
    };
    (@ $k:ident $number:literal $value:expr) => {{
        let $k = $number;
        $value
    }};
}

/// An element, or [`Word::LANES`] elements side by side.
#[derive(Clone, Copy)]
pub(super) struct Element<W>([W; 6]);

impl<W: Word> Element<W> {
    #[inline(always)]
    pub(super) fn of(number: u64) -> Self {
        let zero = W::of(0);
        Self([W::of(number), zero, zero, zero, zero, zero])
    }

    /// Up to [`Word::LANES`] numbers of 32 bytes, their highest bits left out; zeros for those that are missing.
    #[inline(always)]
    pub(super) fn read(numbers: &[[u8; 32]]) -> Self {
        let mut limbs = [[0; 8]; 6];
        for (lane, bytes) in numbers.iter().take(W::LANES).enumerate() {
            for (place, limb) in limbs.iter_mut().enumerate() {
                limb[lane] = bits(bytes, place * 43);
            }
            limbs[5][lane] &= LOW_40;
        }
        Self(six!(k => W::of_lanes(limbs[k])))
    }

    /// Canonical bytes of the first elements.
    #[inline(always)]
    pub(super) fn write(self, numbers: &mut [[u8; 32]]) {
        let limbs = self.canonical().0;
        let limbs = six!(k => limbs[k].lanes());
        for (lane, bytes) in numbers.iter_mut().take(W::LANES).enumerate() {
            let [a, b, c, d, e, f] = limbs.map(|limb| limb[lane]);
            let words =
                [a | b << 43, b >> 21 | c << 22, c >> 42 | d << 1 | e << 44, e >> 20 | f << 23];
            for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }

    /// Loose, of tight ones.
    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        Self(six!(k => self.0[k].plus(other.0[k])))
    }

    /// Loose, of tight ones.
    #[inline(always)]
    pub(super) fn minus(self, other: Self) -> Self {
        Self(six!(k => self.0[k].plus(W::of(SIXTEEN_P[k])).minus(other.0[k])))
    }

    /// Tight, of loose ones.
    #[expect(clippy::needless_range_loop, reason = "i + j is the place of a product")]
    #[inline(always)]
    pub(super) fn times(self, other: Self) -> Self {
        let folded = other.folded();
        let mut sums = Sums::zero();
        for i in 0..6 {
            for j in 0..6 - i {
                sums.add(i + j, self.0[i], other.0[j]);
            }
            for j in 6 - i..6 {
                sums.add(i + j - 6, self.0[i], folded[j]);
            }
        }
        sums.carried()
    }

    /// Tight, of a loose one.
    #[expect(clippy::needless_range_loop, reason = "i + j is the place of a product")]
    #[inline(always)]
    pub(super) fn squared(self) -> Self {
        let folded = self.folded();
        let mut sums = Sums::zero();
        for i in 0..6 {
            let twice = self.0[i].plus(self.0[i]);
            for j in i..6 {
                let (at, factor) =
                    if i + j < 6 { (i + j, self.0[j]) } else { (i + j - 6, folded[j]) };
                sums.add(at, if i == j { self.0[i] } else { twice }, factor);
            }
        }
        sums.carried()
    }

    /// `self^(2^count)`, tight.
    #[inline(always)]
    pub(super) fn squared_often(mut self, count: usize) -> Self {
        for _ in 0..count {
            self = self.squared();
        }
        self
    }

    /// `self·factor + other` for a factor below 2^20: tight, of a loose one and a tight one.
    #[inline(always)]
    pub(super) fn scaled_plus(self, factor: u64, other: Self) -> Self {
        let mut sums = Sums { low: other.0, high: [W::of(0); 6] };
        for k in 0..6 {
            sums.add(k, self.0[k], W::of(factor));
        }
        sums.carried()
    }

    /// `a` where the mask has ones, `b` where zeros.
    #[inline(always)]
    pub(super) fn choose(mask: W, a: Self, b: Self) -> Self {
        Self(six!(k => W::choose(mask, a.0[k], b.0[k])))
    }

    /// Ones where the element is zero. Of a canonical element.
    #[inline(always)]
    pub(super) fn zeros(self) -> W {
        let [a, b, c, d, e, f] = self.0;
        let any = a.or(b).or(c).or(d).or(e).or(f);
        // Limbs are below 2^43: what is not zero borrows nothing, and only zero − 1 has its highest bit set.
        W::of(0).minus(any.minus(W::of(1)).right::<63>())
    }

    /// Ones where the quadratic character `self` is −1, which is even and has 43 bits; not where it is 0 or 1.
    #[inline(always)]
    pub(super) fn minus_ones(self) -> W {
        W::of(0).minus(self.canonical().0[0].right::<42>())
    }

    /// `self^(2^250 − 1)` and `self^11`, for the powers below.
    #[inline(always)]
    fn tower(self) -> (Self, Self) {
        let two = self.squared();
        let nine = two.squared_often(2).times(self);
        let eleven = nine.times(two);
        let ones_5 = eleven.squared().times(nine);
        let ones_10 = ones_5.squared_often(5).times(ones_5);
        let ones_20 = ones_10.squared_often(10).times(ones_10);
        let ones_40 = ones_20.squared_often(20).times(ones_20);
        let ones_50 = ones_40.squared_often(10).times(ones_10);
        let ones_100 = ones_50.squared_often(50).times(ones_50);
        let ones_200 = ones_100.squared_often(100).times(ones_100);
        (ones_200.squared_often(50).times(ones_50), eleven)
    }

    /// The inverse, or zero of zero: `self^(p − 2)`.
    #[inline(always)]
    pub(super) fn inverse(self) -> Self {
        let (ones_250, eleven) = self.tower();
        ones_250.squared_often(5).times(eleven)
    }

    /// 1 of a square, −1 of what is none, 0 of zero: `self^((p − 1)/2)`, and (p − 1)/2 = 16·(2^250 − 1) + 6.
    #[inline(always)]
    pub(super) fn character(self) -> Self {
        let (ones_250, _) = self.tower();
        ones_250.squared_often(4).times(self.squared().times(self).squared())
    }

    /// The least representative, limbs below 2^43, of any element whose limbs are below 2^62.
    #[inline(always)]
    pub(super) fn canonical(self) -> Self {
        let mut limbs = self.0;
        // The first pass leaves less than 2^255 + 19·2^22, the second less than 2^255.
        for _ in 0..2 {
            let over = ripple(&mut limbs);
            limbs[0] = limbs[0].plus_low(over, W::of(19));
        }
        let _: W = ripple(&mut limbs);
        // Adding 19 overflows exactly what is p or more.
        let mut carry = W::of(19);
        for limb in &limbs[..5] {
            carry = limb.plus(carry).right::<43>();
        }
        let over = limbs[5].plus(carry).right::<40>();
        limbs[0] = limbs[0].plus_low(over, W::of(19));
        let _: W = ripple(&mut limbs);
        Self(limbs)
    }

    /// The limbs times 2^258 mod p.
    #[inline(always)]
    fn folded(self) -> [W; 6] {
        six!(k => W::of(0).plus_low(self.0[k], W::of(FOLD)))
    }
}

/// Carries from limb to limb and gives back what stands above 2^255.
#[inline(always)]
fn ripple<W: Word>(limbs: &mut [W; 6]) -> W {
    for k in 0..5 {
        limbs[k + 1] = limbs[k + 1].plus(limbs[k].right::<43>());
        limbs[k] = limbs[k].and(W::of(LOW_43));
    }
    let over = limbs[5].right::<40>();
    limbs[5] = limbs[5].and(W::of(LOW_40));
    over
}

/// 43 bits of a number, from a place on.
#[inline(always)]
fn bits(bytes: &[u8; 32], from: usize) -> u64 {
    let mut window = [0; 8];
    let begin = from / 8;
    let length = (32 - begin).min(8);
    window[..length].copy_from_slice(&bytes[begin..begin + length]);
    (u64::from_le_bytes(window) >> (from % 8)) & LOW_43
}

/// Sums of products: the lower 52 bits of those that belong to a limb, and the rest of those.
struct Sums<W> {
    low: [W; 6],
    high: [W; 6],
}

impl<W: Word> Sums<W> {
    #[inline(always)]
    fn zero() -> Self {
        Self { low: [W::of(0); 6], high: [W::of(0); 6] }
    }

    #[inline(always)]
    fn add(&mut self, limb: usize, a: W, b: W) {
        self.low[limb] = self.low[limb].plus_low(a, b);
        self.high[limb] = self.high[limb].plus_high(a, b);
    }

    /// 2^52 is 2^9 of the next limb. Six products of loose limbs leave each sum below 2^57, its carry below 2^14, and
    /// what the last carry adds to the first limb below 2^22: tight.
    #[inline(always)]
    fn carried(self) -> Element<W> {
        let (low, high) = (self.low, self.high);
        // Those of the last limb are products of limbs that are not folded: below 2^41.
        let last = W::of(0).plus_low(high[5], W::of(FOLD));
        let full = [
            low[0].plus(last.left::<9>()),
            low[1].plus(high[0].left::<9>()),
            low[2].plus(high[1].left::<9>()),
            low[3].plus(high[2].left::<9>()),
            low[4].plus(high[3].left::<9>()),
            low[5].plus(high[4].left::<9>()),
        ];
        let carry = six!(k => full[k].right::<43>());
        let rest = six!(k => full[k].and(W::of(LOW_43)));
        Element([
            rest[0].plus_low(carry[5], W::of(FOLD)),
            rest[1].plus(carry[0]),
            rest[2].plus(carry[1]),
            rest[3].plus(carry[2]),
            rest[4].plus(carry[3]),
            rest[5].plus(carry[4]),
        ])
    }
}
