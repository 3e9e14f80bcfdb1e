//! The evidence log: a C2SP tiled transparency log (RFC 6962 / RFC 9162 tree over SHA-256).
//!
//! **Architecture invariant:** entries are opaque bytes. Nothing here knows a policy, a contract or
//! a fact; what an entry means is decided above.
//!
//! **Architecture invariant:** nothing here reads a clock, a file or a socket, or draws randomness.
//! Tiles, times and keys are arguments; what must be written or sent is returned.
//!
//! **Architecture invariant:** tiles are a pure function of the entries. A rebuild from the entry
//! bundles gives the same bytes ([`audit`]).
//!
//! How to read it, each module on top of the ones before:
//!
//! | module | what | specification |
//! |---|---|---|
//! | [`tree`] | hashes, compact range, where hashes come from | RFC 9162 §2.1.1 |
//! | [`proof`] | inclusion and consistency, made and verified | RFC 9162 §2.1.3, §2.1.4 |
//! | [`tile`], [`bundle`] | paths, bytes to write per append, reading hashes back | C2SP tlog-tiles |
//! | [`note`], [`checkpoint`], [`cosignature`] | signed heads of the tree | C2SP signed-note, tlog-checkpoint, tlog-cosignature |
//! | [`witness`] | both sides of add-checkpoint | C2SP tlog-witness |
//! | [`policy`] | which cosignatures are enough | C2SP tlog-policy |
//! | [`receipt`] | offline proof that an entry is in the log | C2SP tlog-proof |
//! | [`state`] | may this node go on with its log? | house rule D15 |
//! | [`audit`] | recompute everything, name the first bad entry or tile | |
//!
//! # Deviations from the specifications
//!
//! * Tree sizes and timestamps end at 2^63 − 1: other implementations hold them in signed integers.
//! * Only Ed25519 keys are read (types 0x01 and 0x04); keys of other types are refused in a
//!   configuration and their signature lines ignored in a note.
//! * A policy in which a witness has the public key of a log is refused: it would vouch for itself.
//! * A policy file's last line may lack its newline.

pub mod audit;
pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod limits;
pub mod note;
pub mod policy;
pub mod proof;
pub mod receipt;
pub mod state;
pub mod tile;
pub mod tree;
pub mod witness;

mod decimal;
