//! Every bound of the sandbox, with its reason. Nothing here may be "unlimited".

use std::time::Duration;

/// Longest statement in bytes: hand-written and generated analyses stay far below; parsing is
/// superlinear in places.
pub const MAX_SQL_BYTES: usize = 64 * 1024;
/// Most tokens of a statement: engine visitors recurse per operator, so tokens bound stack depth.
pub const MAX_SQL_TOKENS: usize = 4_000;
/// Most values of one `IN (…)` list: longer lists are a join with a table of their own.
pub const MAX_IN_LIST: usize = 1_000;
/// Most tables of one job.
pub const MAX_TABLES: usize = 32;
/// Most files of one job: the kernel passes at most 253 descriptors in one message (SCM_MAX_FD).
pub const MAX_FILES: usize = 250;
/// Job description as JSON: the statement plus rules of every table.
pub const MAX_JOB_BYTES: usize = 2 * 1024 * 1024;
/// Wrapped keys as JSON: some hundreds of bytes for each table.
pub const MAX_KEYS_BYTES: usize = 1024 * 1024;
/// Jail report and public key as JSON.
pub const MAX_HELLO_BYTES: usize = 64 * 1024;
/// Refusals name a construct; longer names are cut.
pub const MAX_REFUSAL_BYTES: usize = 4 * 1024;
/// A construct named in a refusal is cut here: it may be a quoted identifier of any length.
pub const MAX_CONSTRUCT_CHARS: usize = 120;
/// Result counters as JSON, in front of the table.
pub const MAX_SUMMARY_BYTES: usize = 4 * 1024;
/// Arrow IPC framing on top of the counted values: schema, batch headers, padding.
pub const IPC_OVERHEAD_BYTES: u64 = 1024 * 1024;
/// Smallest group where rules forbid raw rows: a "group" of one is the row itself.
pub const MIN_GROUP_FLOOR: u64 = 2;
/// Highest total degree of a polynomial inside a protected aggregate: products of two columns
/// (power = voltage × current) are useful, higher powers make one row dominate a sum.
pub const MAX_DEGREE: u8 = 2;
/// Memory that one unit takes while noisy answers are added up: its name, its sums, and its place in the table.
pub const UNIT_BYTES: u64 = 512;
/// Descriptors a worker may hold besides its tables: stdio, duplicates, slack.
pub const SPARE_FILES: u64 = 16;
/// Address space beyond the query's memory: binary, heap arenas, guard pages.
pub const BASE_ADDRESS_SPACE: u64 = 512 * 1024 * 1024;
/// Address space of each thread: 64 MiB heap arena reservation (glibc) plus its stack.
pub const THREAD_ADDRESS_SPACE: u64 = 64 * 1024 * 1024 + STACK_BYTES as u64;
/// Stack of worker threads: planning recurses; reserved, not committed.
pub const STACK_BYTES: usize = 32 * 1024 * 1024;
/// Threads the runtime may add for blocking work.
pub const BLOCKING_THREADS: usize = 4;
/// Most threads a job may ask for.
pub const MAX_THREADS: usize = 256;
/// CPU seconds beyond deadline × threads before the kernel kills an orphaned worker.
pub const CPU_SLACK_SECONDS: u64 = 5;
/// Longest deadline a host may set: a use longer than this is a job of its own kind.
pub const MAX_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// How long a worker may take from start to Hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(30);
