//! Privacy computing as jobs: a list on a disk goes in, what may be learnt comes out, and only messages of a protocol leave.
//!
//! `mpc` has the protocols, pure; here are the files, connections, threads and processes around them. A job is a process of
//! its own, so that it can be stopped, bounded and replaced; the node starts it, gives it a connection and reads its progress.
//!
//! **Architecture invariant:** nothing here knows contracts, leases or keys of a node: whether a job may run was decided
//! before. What a job or a table keeps on a disk on its way holds no key and no item of its owner's list in clear; a journal does hold
//! labels, columns that the peer gave. What the owner asks for in the end holds both: rows of the own list, and labels. No key shows in
//! a message, an error or a log.
//!
//! | module | what |
//! |---|---|
//! | [`keys`] | rows of CSV, Parquet and Arrow files become items: normal forms, equals, hashing |
//! | [`job`] | parts on disk, a journal, workers, connections that notice a dead peer |
//! | [`table`] | a small list against a large one that was hashed once |
//! | [`spu`] | the wire of SecretFlow's `spu` for intersections with such a peer |

pub mod job;
pub mod keys;
pub mod spu;
pub mod table;
