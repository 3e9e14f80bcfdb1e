//! Sources become tables: files in, Parquet with origin and profile out, and tables sealed.
//!
//! The walk of a table: [`format::detect`] says what a file is, [`table::ingest`] reads it twice
//! (the first pass finds the types over *all* rows, the second converts) and writes one Parquet
//! file, [`seal::seal_table`] encrypts that file for one contract. Any other file is kept as it
//! is by [`binary::ingest`].
//!
//! **Architecture invariant:** this crate never opens a socket, never reads a clock (times are
//! arguments) and never learns what an offer, a policy or a contract is.
//!
//! **Architecture invariant:** a failure or a cancellation leaves nothing behind: results are
//! written to a temporary file beside the target, synced, and renamed.
//!
//! **Architecture invariant:** memory does not grow with the file: rows are handled in bounded
//! batches, and every bound stands in [`limits`].
//!
//! Everything blocks; a caller in an async world runs it on a blocking thread.

pub mod binary;
pub mod cells;
mod classify;
mod convert;
pub mod excerpt;
pub mod fault;
pub mod format;
mod infer;
pub mod limits;
pub mod options;
pub mod origin;
mod output;
pub mod profile;
mod rows;
pub mod seal;
pub mod table;
mod text;
