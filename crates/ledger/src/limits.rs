//! Every bound of the log and why it has this value. Nothing else may hold a magic number.

/// Longest entry in bytes: bundles prefix each entry with a big-endian `u16` (tlog-tiles).
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Entries or hashes in a full tile: height 8 is fixed by tlog-tiles.
pub const TILE_WIDTH: u16 = 256;

/// Tree levels a tile spans: log2 of [`TILE_WIDTH`].
pub const TILE_HEIGHT: u8 = 8;

/// Bytes of a full hash tile.
pub const FULL_TILE_BYTES: usize = 256 * 32;

/// Longest entry bundle: 256 of the longest entries with their length prefixes.
pub const MAX_BUNDLE_BYTES: usize = 256 * (MAX_ENTRY_BYTES + 2);

/// Highest tile level a path may name ("between 0 and 63", tlog-tiles).
pub const MAX_TILE_LEVEL: u8 = 63;

/// Longest tile path: `tile/entries/`, seven groups of a `u64`, `.p/255`; with room to spare.
pub const MAX_TILE_PATH_BYTES: usize = 64;

/// Largest tree: other implementations hold sizes in an `i64`.
pub const MAX_TREE_SIZE: u64 = i64::MAX as u64;

/// Most hashes in one proof. "The client MUST NOT send more than 63 consistency proof lines"
/// (tlog-witness); an inclusion proof in a tree below 2^63 entries has no more either.
pub const MAX_PROOF_HASHES: usize = 63;

/// Longest signed note in bytes: a 4 KiB body and 64 signatures of post-quantum size.
pub const MAX_NOTE_BYTES: usize = 512 * 1024;

/// Most signatures in a note. The specification asks for at least 16; a policy of 32 witnesses,
/// each with two keys, fits.
pub const MAX_NOTE_SIGNATURES: usize = 64;

/// Longest key name or origin in bytes: ML-DSA cosignatures carry both behind a one-byte length.
pub const MAX_NAME_BYTES: usize = 255;

/// Longest verifier key text: name, ID and the base64 of an ML-DSA-44 key (1,313 bytes) so that a
/// foreign key is called "unsupported" and not "too long".
pub const MAX_VKEY_BYTES: usize = 2_560;

/// Most extension lines in a checkpoint: they are not recommended, none of ours has any.
pub const MAX_EXTENSION_LINES: usize = 16;

/// Latest cosignature timestamp ("It MUST NOT exceed 2^63 - 1", tlog-cosignature).
pub const MAX_TIMESTAMP: u64 = i64::MAX as u64;

/// Longest add-checkpoint request: the old size, 63 hashes and a note.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = 32 + MAX_PROOF_HASHES * 45 + 1 + MAX_NOTE_BYTES;

/// Longest policy file: 4 × 32 lines of keys and URLs with generous comments.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// Most logs, witnesses and groups each in a policy; at least 32 are recommended (tlog-policy).
pub const MAX_POLICY_ITEMS: usize = 256;

/// Longest `extra` of a receipt in bytes before base64: the Go reader stops at 64 KiB a line.
pub const MAX_EXTRA_BYTES: usize = 47_000;

/// Longest receipt: extra, index, proof and checkpoint.
pub const MAX_RECEIPT_BYTES: usize = 64 * 1024 + MAX_PROOF_HASHES * 45 + 64 + MAX_NOTE_BYTES;
