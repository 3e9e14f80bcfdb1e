//! Every bound of the evidence log's service, each with its why.
//!
//! What the format bounds (entry bytes, note bytes…) is in `tidm_ledger::limits`.

use std::time::Duration;

/// Entries in one group commit: 4,096 of 512 B take 4.7 ms on 2 cores; more only adds latency.
pub const BATCH_ENTRIES: usize = 4096;
/// Bytes in one group commit: what a disk of 100 MB/s writes in 10 ms.
pub const BATCH_BYTES: usize = 1 << 20;
/// Requests waiting for the next commit; beyond that callers wait in line themselves.
pub const QUEUE: usize = 8192;
/// Bytes in one journal file before the tiles are synced and it is dropped: start-up replays at most two.
pub const JOURNAL_BYTES: u64 = 32 << 20;
/// A journal record holds one batch's tiles; anything longer is damage.
pub const RECORD_BYTES: u64 = 256 << 20;
/// D15: custodians get this long to answer at start.
pub const START_LIMIT: Duration = Duration::from_secs(2);
/// A custodian that answers a cosignature request later than this is asked again next time.
pub const WITNESS_LIMIT: Duration = Duration::from_secs(5);
/// First guess, the size the witness names, and once more if another request came between.
pub const WITNESS_TRIES: usize = 3;
/// Body of a custodian's answer.
pub const ANSWER_BYTES: usize = 512 * 1024;
/// Logs one witness watches; a file and a lock each.
pub const WITNESSED_LOGS: usize = 10_000;
/// Longest pause between attempts to reload after a failed write.
pub const RELOAD_PAUSE: Duration = Duration::from_millis(100);
