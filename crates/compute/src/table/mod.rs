//! A small list against a large one that was hashed once: making the table, and the session over it. The protocol is
//! [`tidm_mpc::unbalanced`]'s; here are lists, files, the connection, and that a session is answered once.
//!
//! ```text
//!   provider: list ──► items ──► F under the version's key ──► table and index        (once per version)
//!   consumer: list ──► items ──► blinded ───────► provider: evaluated, once ──► looked up in the kept table ──► rows
//! ```
//!
//! Threats. The peer is hostile, and so are the table's bytes: each segment is compared with the index before it is read, and the
//! index is the one that the order names. *How many points are evaluated is all that protects a list that can be guessed*: the
//! number is the order's, and a file says on the disk that they were given, before the first of them leaves. So a session whose
//! connection breaks after that is lost, and a new one is another use.
//!
//! Never on a disk: an item, a key of a list, the key of the version. Entries wait in files while a table is sorted: they are what
//! it will show.

mod files;
pub mod limits;
mod online;
mod order;
mod prepare;

pub use files::{Facts, INDEX, TABLE, check, facts};
pub use order::{Answer, Order, Prepare, Query, Seeded};

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::job::failure::Failure;
use crate::job::order::Report;
use crate::job::progress::{Progress, Tell};

/// Runs an order to its end.
pub fn run(order: &Order, tell: Tell, cancelled: Arc<AtomicBool>) -> Result<Report, Failure> {
    order.check()?;
    let progress = Progress::new(tell, cancelled);
    match order {
        Order::Prepare(it) => prepare::run(it, &progress),
        Order::Query(it) => online::query(it, &progress),
        Order::Answer(it) => online::answer(it, &progress),
    }
}

#[cfg(test)]
mod tests;
