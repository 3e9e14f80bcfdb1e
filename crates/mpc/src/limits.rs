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

/// Memory that one run takes per item of its own, for choosing a number of parts: 105 to 130 bytes were measured at 2^20 and
/// 2^22 items, the set itself included.
pub const RUN_BYTES_PER_ITEM: u64 = 160;

/// Largest frame on a channel: the masks of [`MAX_ITEMS`] items at 16 bytes. Every receiver also knows the exact length
/// it waits for; this bound is for the header's sake.
pub const MAX_FRAME_BYTES: usize = 1 << 29;

/// What a channel over a stream reads at a time, so that memory grows with the bytes that came and not with the claim.
pub const READ_CHUNK_BYTES: usize = 1 << 20;

/// Most items of an ECDH session on a curve that multiplies one by one: four multiplications each are 200 µs and more, so
/// this is some minutes of one core. On Curve25519 [`MAX_ITEMS`] counts: ten times as many per second.
pub const MAX_ECDH_ITEMS: u64 = 1 << 20;

/// Items that an ECDH party masks between two looks at the caller's wish to stop: a few milliseconds.
pub const ECDH_BATCH: usize = 256;

/// Most entries of a table for unbalanced sets: 4 billion, 33 GB of table.
pub const MAX_TABLE_ENTRIES: u64 = 1 << 32;

/// Entries of a table's segment, about: half a megabyte, so that few queries read little and many read in large pieces. The
/// index takes 36 bytes per segment, a millionth of the table's entries at 2^16.
pub const TABLE_SEGMENT_ENTRIES: u64 = 1 << 16;

/// Bytes of one part of a table that are gathered before they are written: with [`MAX_PARTITIONS`] parts 64 MiB.
pub const TABLE_BUFFER_BYTES: usize = 16 * 1024;

/// Items per bin of the key-value store. The working set of one bin (columns, rows and values, about 1.5 MB) fits the
/// second-level cache of a server core; larger bins need less padding, smaller ones less cache.
pub const OKVS_BIN_ITEMS: u64 = 1 << 15;

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
