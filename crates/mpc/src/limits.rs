//! Every bound and security parameter, and why it has this value. Nothing else may hold a magic number.

/// Computational security: elements of GF(2^128), AES-128, a group of order about 2^252.
pub const COMPUTATIONAL_BITS: usize = 128;

/// Statistical security: how improbable a wrong answer, a failed encoding or an overfull bin is (2^-40), as in RR22.
pub const STATISTICAL_BITS: u32 = 40;

/// Most items of one party in one protocol run. Larger sets are partitioned first. At 2^24 a receiver holds about 2 GiB.
pub const MAX_ITEMS: u64 = 1 << 24;

/// Most items in a caller's list: places in it are 32 bits.
pub const MAX_PLACES: u64 = 1 << 31;

/// Most partitions of one session. With [`MAX_ITEMS`] that is far above the 10^9 items anybody asks for; the bound keeps a
/// plan's padding small against its contents.
pub const MAX_PARTITIONS: u32 = 1 << 12;

/// Memory that one run takes per item of its own, for choosing a number of parts: 80 to 115 bytes were measured at 2^20 and
/// 2^22 items, the set itself included; the rest is room for what allocators leave between.
pub const RUN_BYTES_PER_ITEM: u64 = 160;

/// Largest frame on a channel: the masks of [`MAX_ITEMS`] items at 16 bytes. Every receiver also knows the exact length
/// it waits for; this bound is for the header's sake.
pub const MAX_FRAME_BYTES: usize = 1 << 29;

/// What a channel over a stream reads at a time, so that memory grows with the bytes that came and not with the claim.
pub const READ_CHUNK_BYTES: usize = 1 << 20;

/// Most items of an ECDH session: four scalar multiplications each are about 200 µs, so this is some minutes of one core.
pub const MAX_ECDH_ITEMS: u64 = 1 << 20;

/// Items that an ECDH party masks between two looks at the caller's wish to stop: a few milliseconds.
pub const ECDH_BATCH: usize = 256;

/// Items per bin of the key-value store. The working set of one bin (columns, rows and values, about 1.5 MB) fits the
/// second-level cache of a server core; larger bins need less padding, smaller ones less cache.
pub const OKVS_BIN_ITEMS: u64 = 1 << 15;

/// Bits of a value in the band store, and so of what a store place costs in the low-communication variant. An item outside
/// the receiver's set decodes to its own hash with probability 2^-64: below 2^-40 for any of [`MAX_ITEMS`] of a sender.
pub const BAND_VALUE_BITS: u32 = 64;
const _: () = assert!(BAND_VALUE_BITS >= STATISTICAL_BITS + MAX_ITEMS.ilog2());

/// Width of a key's band of random bits (RB-OKVS, Bienstock, Patel, Seo and Yeo 2023): three words, which with the value fill half
/// a cache line.
pub const BAND_WIDTH: usize = 192;

/// Where bands may begin, per key, in thousandths. With the width above the formula of `okvs::band` gives 2^-45 for 2^20
/// keys and 2^-41 for [`MAX_ITEMS`].
pub const BAND_EXPANSION_THOUSANDTHS: u64 = 1120;

/// Keys that are put into the band store at a time, in the order of their bands: a few cache pages of rows.
pub const BAND_BATCH_KEYS: u64 = 256;

/// Places of the band store per message: the sender works on one portion while the next travels.
pub const BAND_PLACES_PER_MESSAGE: usize = 1 << 15;

/// Non-zero entries per row of the expander (RRT23 names 7, 11 and 21).
pub const CODE_WEIGHT: usize = 7;

/// Memory of the convolution: the state is the last 24 symbols (RRT23).
pub const CODE_MEMORY: usize = 24;

/// Weight of the regular noise: number of non-zero positions in a noise vector of twice the output's length.
/// A linear test with a code word of relative weight δ sees only noise-free positions with probability (1 − δ)^t; with
/// the estimate δ ≥ (w − 3)/w · 1/4 = 0.143 for w = 7 (`code`), t = 576 gives 2^-128. Decision 029 has the argument.
pub const NOISE_WEIGHT: usize = 576;

/// Trees per message: the receiver works on one portion while the sender expands the next.
pub const TREES_PER_MESSAGE: usize = 36;

/// Shortest vector that is expanded. Below it noise blocks get so short that the noise is no longer sparse: here a block
/// has 57 positions.
pub const MIN_EXPANSION: usize = 1 << 14;

/// Longest vector that one expansion gives: [`MAX_ITEMS`] with the store's overhead of at most 1.4.
pub const MAX_EXPANSION: usize = 24_000_000;

/// Bytes of a mask in the malicious variant: a prediction of one must cost 2^128, not 2^40.
pub const MALICIOUS_MASK_BITS: u32 = 128;
