//! Every bound of this module, with its reason.

/// Parts of one key. Name, birthday, place and number of a document are four; nobody joins on more than a handful.
pub const MAX_PARTS: usize = 8;

/// Bytes of a name of a role or column. What databases allow is 64 to 128 characters; Chinese ones take three bytes each.
pub const MAX_NAME_BYTES: usize = 512;

/// Bytes of one part of a key, before and after its normal form. Longer ones are texts, not keys; NFKC can make a text 18 times
/// longer, which the bound keeps from mattering.
pub const MAX_KEY_BYTES: usize = 4096;

/// Digits of an integer or decimal after its normal form, and the largest exponent taken. Decimal256 has 76.
pub const MAX_DIGITS: usize = 128;

/// Bytes read at a time from a CSV file: large enough that the system call vanishes, small enough for the second-level cache.
pub const READ_BYTES: usize = 1 << 20;

/// Longest CSV record. A quote that is never closed makes the rest of the file one record; this ends it.
pub const MAX_RECORD_BYTES: usize = 8 << 20;

/// Columns of a CSV file. Its header is taken apart once.
pub const MAX_COLUMNS: usize = 1 << 16;

/// Names of columns that a fault lists.
pub const SHOWN_COLUMNS: usize = 30;

/// Characters of a reader's own words that a fault repeats.
pub const SHOWN_CHARS: usize = 200;

/// Rows that one call of [`next`](super::Source::next) gives at most.
pub const BATCH_ROWS: usize = 8192;

/// Rows of a batch of Parquet: with strings of 100 bytes in ten columns about 8 MB.
pub const TABLE_ROWS: usize = 8192;

/// Rows of one list: a bitmap of them takes 1 GiB.
pub const MAX_ROWS: u64 = 1 << 33;

/// Metadata of one message of an Arrow stream: 100 bytes for each of 2^16 columns are 6 MB.
pub const MAX_METADATA_BYTES: u64 = 64 << 20;

/// A batch of an Arrow stream whose own length is not known, such as a pipe: it is held whole.
pub const MAX_BATCH_BYTES: u64 = 4 << 30;
