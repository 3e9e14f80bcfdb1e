//! Every bound of the talk with spu, and why it has this value.

use std::time::Duration;

/// Most items of one party. Twice-masked items are compared by 95 bits: at 2^26 against 2^26 a false match has probability
/// 2^-43. Memory is about 50 bytes for each item of ours and 12 for each of the peer's.
pub const MOST_ITEMS: u64 = 1 << 26;

/// Items per message that we send: spu's own default.
pub const BATCH_ITEMS: usize = 4096;

/// Items per message that we accept: spu sends 4096; its other settings stay below this.
pub const MOST_BATCH_ITEMS: usize = 1 << 16;

/// Longest message: [`MOST_BATCH_ITEMS`] of 32 bytes, and a count of repetitions for each.
pub const MOST_MESSAGE_BYTES: usize = 4 << 20;

/// Longest piece that we send; spu's default for its own.
pub const PIECE_BYTES: usize = (1 << 20) - 4096;

/// Longest request: one message in one piece, and its frame.
pub const MOST_REQUEST_BYTES: usize = MOST_MESSAGE_BYTES + 4096;

/// Longest answer to a request of ours: an empty header, or an error text.
pub const MOST_REPLY_BYTES: usize = 64 << 10;

/// Longest name of a message; those of the protocol have up to 40 bytes and the name of the link, which users choose.
pub const MOST_KEY_BYTES: usize = 256;

/// Messages that came and that nobody has read. spu has 10 in flight unless told otherwise.
pub const MOST_UNREAD: usize = 128;

/// Bytes of messages that came and that nobody has read: a full window of the longest batches that spu sends.
pub const MOST_UNREAD_BYTES: usize = 64 << 20;

/// Numbers of messages that came out of order, beyond the first gap.
pub const MOST_OUT_OF_ORDER: usize = 1024;

/// Our messages that the peer has not yet confirmed, as spu throttles.
pub const WINDOW: u64 = 10;

/// The same for answers. They do not wait for messages of our own, or two parties that answer each other could both wait
/// for room; half of [`MOST_UNREAD`].
pub const ANSWERS_WINDOW: u64 = 64;

/// Requests under way at a time.
pub const REQUESTS_AT_A_TIME: usize = 8;

/// Connections that we accept at a time: spu has one, more while it reconnects.
pub const MOST_CONNECTIONS: usize = 8;

/// Requests under way per connection: confirmations of a whole [`ANSWERS_WINDOW`], and what spu sends itself.
pub const MOST_STREAMS: u32 = 128;

/// Requests whose bodies are read at a time, of all connections: 64 MiB of the longest.
pub const BODIES_AT_A_TIME: usize = 16;

/// How often a party that works says so: spu's own rhythm.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long one request may take.
pub const REQUEST_TIME: Duration = Duration::from_secs(20);

/// How long a message is tried again when the connection fails.
pub const RETRY_TIME: Duration = Duration::from_secs(15);

/// Between two attempts.
pub const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// After how long without a message of the protocol the connect message is said again.
pub const CONNECT_AGAIN: Duration = Duration::from_secs(1);

/// Connect messages of the peer that are answered at once. spu connects twice; more would be an echo of our own.
pub const MOST_ANSWERED_CONNECTS: u64 = 4;

/// How long the end waits for the peer's farewell. The result is complete without it.
pub const CLOSE_TIME: Duration = Duration::from_secs(10);
