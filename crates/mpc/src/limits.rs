//! Every bound and security parameter, and why it has this value. Nothing else may hold a magic number.

/// Computational security: elements of GF(2^128), AES-128, a group of order about 2^252.
pub const COMPUTATIONAL_BITS: usize = 128;

/// Statistical security: how improbable a wrong answer, a failed encoding or an overfull bin is (2^-40), as in RR22. Over all
/// parts of a job together, see [`part_bits`].
pub const STATISTICAL_BITS: u32 = 40;

/// Bits of one of so many parts, so that 2^-40 is for all of them together.
pub const fn part_bits(parts: u32) -> u32 {
    let parts = if parts > MAX_PARTITIONS { MAX_PARTITIONS } else { parts };
    STATISTICAL_BITS + parts.next_power_of_two().ilog2()
}

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

/// Most items of an ECDH session on a curve that multiplies one by one: four multiplications each are 200 µs and more, so
/// this is some minutes of one core. On Curve25519 [`MAX_ITEMS`] counts: ten times as many per second.
pub const MAX_ECDH_ITEMS: u64 = 1 << 20;

/// Most items of one party in one part of a job on Curve25519: four million take some 45 s of both parties' cores, which is what a
/// crash costs at most, and about 90 bytes each.
pub const MAX_ECDH_PART_ITEMS: u64 = 1 << 22;

/// Items that an ECDH party masks between two messages, and two looks at the wish to stop: 20 ms on Curve25519, ten times as
/// much on the others. Parties that wake each other every millisecond were seen to share one of two cores.
pub const ECDH_BATCH: usize = 4096;

/// Items of one message where both parties work in step: half a megabyte, and 80 ms of a core for each, so that a round trip of
/// as long costs nothing. The first batch is the only one that a party waits for in idleness.
pub const ECDH_PART_BATCH: usize = 1 << 14;

/// Most entries of a table for unbalanced sets: 4 billion, 33 GB of table.
pub const MAX_TABLE_ENTRIES: u64 = 1 << 32;

/// Entries of a table's segment, about: half a megabyte, so that few queries read little and many read in large pieces. The
/// index takes 36 bytes per segment, less than a ten-thousandth of it.
pub const TABLE_SEGMENT_ENTRIES: u64 = 1 << 16;

/// Bytes of one part of a table that are gathered before they are written: with [`MAX_PARTITIONS`] parts 64 MiB.
pub const TABLE_BUFFER_BYTES: usize = 16 * 1024;

/// Items per bin of the key-value store. The working set of one bin (columns, rows and values, about 1.5 MB) fits the
/// second-level cache of a server core; larger bins need less padding, smaller ones less cache.
pub const OKVS_BIN_ITEMS: u64 = 1 << 15;

/// Bits of a value in the band store, and so of what a store place costs in the low-communication variant. An item outside
/// the receiver's set decodes to its own hash with probability 2^-64: at most 2^-40 for all of [`MAX_ITEMS`] of a sender, which
/// is the most that a sender has in all parts of a job together.
pub const BAND_VALUE_BITS: u32 = 64;
const _: () = assert!(BAND_VALUE_BITS >= STATISTICAL_BITS + MAX_ITEMS.ilog2());

/// Width of a key's band of random bits (RB-OKVS, Bienstock, Patel, Seo and Yeo 2023): three words, which with the value fill half
/// a cache line.
pub const BAND_WIDTH: usize = 192;

/// Where bands may begin, per key, in thousandths. With the width above the formula of `okvs::band` gives 2^-45 for 2^20
/// keys and 2^-40.1 for [`BAND_KEYS`].
pub const BAND_EXPANSION_THOUSANDTHS: u64 = 1120;

/// Keys of all parts of a job together up to which that expansion is enough.
pub const BAND_KEYS: u64 = 1 << 25;

/// The same beyond: the formula gives 2^-42 for the most keys that a job has, [`MAX_ITEMS`] in each of [`MAX_PARTITIONS`] parts.
pub const BAND_LARGE_EXPANSION_THOUSANDTHS: u64 = 1150;

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

/// Weight of the regular noise of bits: one position per block is one. A linear test with a code word of relative weight δ
/// has a bias of (1 − 2δ)^t there (RRT23); with δ ≥ 0.143 as for [`NOISE_WEIGHT`], t = 264 gives 2^-128.
pub const BIT_NOISE_WEIGHT: usize = 264;

/// Transfers of bits of one expansion. Larger ones cost less traffic per transfer (trees grow by a level per doubling), smaller
/// ones stay in the cache: this many symbols are 8 MB, and an expansion costs 165 kB.
pub const BIT_EXPANSION: usize = 1 << 19;

/// Expansions whose trees are paid with one message: so many round trips fewer, and keys of 3 MB.
pub const EXPANSIONS_AT_ONCE: usize = 16;

/// Most bits that one product takes at once: [`MAX_ITEMS`] in bins of 1.3, with room.
pub const MAX_PRODUCTS: usize = 24_000_000;

/// Widest value of a programmable function: an element of the field its store is over.
pub const MAX_VALUE_BYTES: u32 = 16;

/// Longest label of one item. Longer records are fetched by other means; this bounds what a session keeps per match.
pub const MAX_LABEL_BYTES: u32 = 4096;

/// Encrypted labels travel in messages of about this size, so that nobody holds all of them twice.
pub const LABEL_MESSAGE_BYTES: usize = 1 << 20;

/// Bits of a zero share: that shares add up to zero for an item that somebody lacks is to be improbable (below 2^-40) among
/// all items of a leader, of which there are at most 2^24.
pub const ZERO_SHARE_BYTES: u32 = 8;

/// Most parties of one session of many. The leader talks to them one after the other, so this is also its patience.
pub const MAX_PARTIES: usize = 64;

/// Most items of one party of an intersection in shares: three programmed points per item stay within [`MAX_ITEMS`].
pub const MAX_SHARED_ITEMS: u64 = 1 << 22;

/// Most bins of all parts of a job that sums up the sender's values: strings of 64 bits, 40 more than these, leave the other 64 of
/// a programmed value for a share of what is summed up.
pub const MAX_PAYLOAD_BINS: u64 = 1 << 24;

/// Bins of a cuckoo table: 1.3 per item and 512 more. The probability that some set of s items names fewer than s bins is then
/// below 2^-50 for any number of items (a bound, not an extrapolation; `circuit::cuckoo` works it out in a test).
pub const CUCKOO_BINS_PER_TEN: u64 = 13;
pub const CUCKOO_SPARE_BINS: u64 = 512;
