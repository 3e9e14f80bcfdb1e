//! Every bound of a job, and why it has this value.

use std::time::Duration;

/// Memory of one party where an order names none.
pub const MEMORY_BYTES: u64 = 512 << 20;

/// What a process takes before it holds an item: program, tables, buffers of connections and readers.
pub const BASE_BYTES: u64 = 24 << 20;

/// Bytes of all parts together that are gathered before they are written: large writes, little memory.
pub const BUFFERED_BYTES: usize = 32 << 20;

/// Bytes of one part, of those: at least a page of a disk, at most what makes a write efficient.
pub const BUFFER_BYTES: (usize, usize) = (4 << 10, 1 << 20);

/// Memory per item of the part that is being made ready while another runs: its bytes, its records, its sorted set.
pub const AHEAD_BYTES_PER_ITEM: u64 = 52;

/// Memory of a part's rows while it is sorted, 60 bytes each, four times over: another part runs meanwhile, and parts of few rows
/// are the rule.
pub const HELD_BYTES_PER_ROW: u64 = 256;

/// Rows beyond what was planned that a part may hold before it is sorted in between: small parts are not sorted at every row.
pub const SPARE_ROWS: u64 = 1024;

/// What of a part on the disk is read at a time: whole chunks.
pub const READ_PIECE_BYTES: usize = 8192 * tidm_mpc::partition::sealed::CHUNK_BYTES;

/// A party that has said nothing for this long sends a heartbeat.
pub const BEAT: Duration = Duration::from_secs(2);

/// How often a waiting party looks whether it is to stop.
pub const LOOK_AT_STOP: Duration = Duration::from_millis(250);

/// How long one try to reach the peer takes: a round trip around the world and several packets lost. Also how late a party that
/// dials sees that it is to stop.
pub const DIAL: Duration = Duration::from_secs(5);

/// What of the peer is read while it does not read what we say: a day of its heartbeats.
pub const INBOX_BYTES: usize = 1 << 18;

/// Nothing heard for this long, not even a heartbeat, is a lost connection.
pub const SILENCE: Duration = Duration::from_secs(20);

/// How long a party tries to reach its peer again after a connection was lost, or at the start.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// The same for a party that has its whole result and would only say so.
pub const FAREWELL: Duration = Duration::from_secs(3);

/// Connections of one job over which parts may run, restarts and all workers of it together. Each gives a malicious peer
/// another try at what a session hides with 40 bits of statistical security: 2^-30 is left.
pub const MAX_CONNECTIONS: u64 = 1 << 10;

/// Runs of one part, restarts and all workers together. A peer that breaks off may put other items into a part that runs again,
/// so this is by how much what it learns may exceed the agreed size; and how often one part may meet a crash.
/// Also how often one answer is opened, as a peer that was changed may shift its share of it each time.
pub const MAX_RUNS: u32 = 4;

/// Most items of a sender in the low-communication variant: its values have 64 bits, and 2^24 of them keep a false match of
/// the whole job below 2^-40.
pub const MAX_LOW_ITEMS: u64 = 1 << 24;

/// Most items of either party in the ECDH variant: two multiplications of each are three minutes of one core of each party. The
/// others take a few seconds.
pub const MAX_ECDH_ITEMS: u64 = 1 << 24;

/// Items that the parts of a list may hold over twice what was agreed: the smallest store has as many places.
pub const FILLED_ITEMS: u64 = 63;

/// Workers of one party. More than cores of a large machine help nobody.
pub const MAX_WORKERS: u32 = 64;

/// Parts per worker, where an order names no number of parts.
pub const PARTS_PER_WORKER: u32 = 4;

/// Workers that may be replaced after they were killed, per worker of the order.
pub const REPLACED_PER_WORKER: u32 = 8;

/// Longest order on a program's stdin.
pub const MAX_ORDER_BYTES: u64 = 1 << 20;

/// Largest entry of a journal: the labels of one part, and what stands beside them.
pub const MAX_ENTRY_BYTES: u32 = 128 << 20;

/// Matched rows of one entry of a journal, where a part has more: a mebibyte in memory.
pub const ROWS_PER_ENTRY: usize = 1 << 18;

/// Memory that a part takes per item where its result stays in shares: 270 bytes were measured at 2^20 items with sums; the
/// rest is room for what allocators leave between.
pub const SHARED_BYTES_PER_ITEM: u64 = 400;

/// Decimals of a sum: with nine, a hundred million rows may still have values up to 92.
pub const MAX_DECIMALS: u32 = 9;

/// Columns that come with a match.
pub const MAX_LABEL_COLUMNS: usize = 64;

/// What a label takes in memory besides its bytes: its row, and what allocators and trees add.
pub const LABEL_ROW_BYTES: u64 = 64;

/// Labels of one part, at most: half of an entry of the journal, which also holds the part's rows.
pub const MAX_LABEL_ENTRY_BYTES: u64 = 64 << 20;

/// Longest message between a process and its caller: an address, or why nobody answers there.
pub const MAX_CALL_BYTES: usize = 4096;

/// Lines of workers that wait to be looked at; whoever says more waits.
pub const MAX_WAITING_LINES: usize = 64;

/// Longest line that a worker is listened to: what moved, by step.
pub const MAX_LINE_BYTES: u64 = 1 << 20;

/// Most bytes that a process says it moved in one step: 256 TiB, which no job does; sums of all steps, workers and attempts stay numbers.
pub const MAX_MOVED_BYTES: u64 = 1 << 48;

/// Most items of one party of a job of more than two. It runs in one part, in memory, and from the beginning after any loss: this is
/// a minute or two for a few members.
pub const MAX_MANY_ITEMS: u64 = 1 << 22;

/// Memory that such a job takes per item of the larger set of leader and member: 115 bytes were measured at 2^20 items; the rest is
/// room for what allocators leave between.
pub const MANY_BYTES_PER_ITEM: u64 = 200;

/// How often progress is told at most.
pub const TELL_EVERY: Duration = Duration::from_millis(200);

/// How long a worker waits before it looks again for a part that another one gave up.
pub const LOOK_AGAIN: Duration = Duration::from_millis(50);
