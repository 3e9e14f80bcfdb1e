//! Bounds of tables, and why they have these values.

/// Most items of a client in one session of a table: what `limits` of `space` says as well. A point costs its server 10 µs.
pub const CLIENT_ITEMS: u64 = 1 << 20;

/// Memory of a preparation: program, readers, a round of threads, and the buffers of up to 4,096 parts (64 MiB).
pub const PREPARE_BYTES: u64 = 128 << 20;

/// Entries of which one part is in memory at a time, 16 bytes each, four times over: as it is read, as numbers, sorted, coded. Tables have
/// 4,096 parts from 2^28 entries on.
pub const PREPARE_BYTES_PER_PART_ENTRY: u64 = 64;

/// Memory of a client's session per item: record, groups, set, point, value and look-up, each at most 48 bytes, and room for what
/// allocators leave between.
pub const QUERY_BYTES_PER_ITEM: u64 = 400;

/// Items of one thread at a time: some 40 ms, so that progress moves and a stop is noticed.
pub const ENTRIES_AT_ONCE: usize = 8192;

/// More threads than this are of no use to a disk that writes what they give.
pub const THREADS: usize = 16;

/// Largest index: of the largest table (2^32 entries) it has 2.3 MiB.
pub const INDEX_BYTES: u64 = 4 << 20;
