//! Every bound of this crate, with its why. No number of this kind may stand elsewhere.

/// Columns of one table. Profiling state is about 60 KB a column, so this keeps it below 128 MB;
/// real industrial tables (SCADA tags, grid profiles) stay below 1,000.
pub const COLUMNS: usize = 2_048;

/// Bytes of one row (CSV record, JSON line). A row beyond is nearly always an unclosed quote.
pub const ROW_BYTES: usize = 16 << 20;

/// Bytes of one cell: a cell becomes one Parquet value, and readers hold whole pages of them.
pub const CELL_BYTES: usize = 8 << 20;

/// Rows of one Arrow batch: Arrow's and DataFusion's customary size.
pub const BATCH_ROWS: usize = 8_192;

/// Bytes of text after which a batch ends early, so that wide rows do not multiply with the above.
pub const BATCH_BYTES: usize = 8 << 20;

/// Rows of a Parquet row group: small enough to prune and to scan in parallel.
pub const ROW_GROUP_ROWS: usize = 262_144;

/// Memory a row group may hold before it is written out.
pub const ROW_GROUP_BYTES: usize = 48 << 20;

/// Row groups of an encrypted file: ordinals in the module AAD are 16 bit (Parquet encryption §4.4.2).
pub const SEALED_ROW_GROUPS: usize = 32_767;

/// Size of an Excel file by default: workbooks are held in memory while read.
pub const EXCEL_BYTES: u64 = 100 << 20;

/// Unpacked size of a workbook: a zip of [`EXCEL_BYTES`] may unpack to a thousand times that.
pub const EXCEL_UNPACKED_BYTES: u64 = 1 << 30;

/// Unpacked size of a workbook's shared strings, which stay in memory while it is read.
pub const EXCEL_STRINGS_BYTES: u64 = 256 << 20;

/// Bytes looked at to guess format, delimiter and header.
pub const HEAD_BYTES: usize = 64 << 10;

/// Rows of the head used to guess a delimiter.
pub const HEAD_ROWS: usize = 100;

/// Rows shown as a preview.
pub const PREVIEW_ROWS: usize = 20;

/// Characters of a cell that may appear in a fault, a preview or a profile.
pub const SHOWN_CHARS: usize = 80;

/// Messages about skipped rows that are kept; the rest is only counted.
pub const SKIPPED_SHOWN: usize = 10;

/// Digits of a number in a text source that is still a number. Sixteen and more are identifiers
/// (citizen ids, order numbers, 统一社会信用代码 of digits only) and not exact in a double.
pub const NUMBER_DIGITS: usize = 15;

/// Bytes read at once.
pub const READ_BYTES: usize = 1 << 20;

/// Rows between two progress reports of a pass.
pub const PROGRESS_ROWS: u64 = 16_384;

/// Values tracked per column for the most frequent values; below this many, counts are exact.
pub const TOP_TRACKED: usize = 128;

/// Most frequent values reported per column.
pub const TOP_SHOWN: usize = 10;
