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

use tidm_jail::Reach;

use crate::job::Host;
use crate::job::connect::Connector;
use crate::job::failure::Failure;
use crate::job::jail;
use crate::job::order::Report;
use crate::job::progress::{Progress, Tell};
use crate::job::visit::lost;

/// An order with its connection to the peer, if it has one: opened, and this process shut in before it hears anybody.
pub struct Opened<'a> {
    order: &'a Order,
    connector: Option<Connector>,
    jail: Option<tidm_jail::Report>,
}

impl<'a> Opened<'a> {
    /// Without a jail: for tests, and for a list that nobody else has a word in.
    pub fn new(order: &'a Order) -> Result<Self, Failure> {
        order.check()?;
        let way = match order {
            Order::Prepare(_) => None,
            Order::Query(it) => Some(&it.connect),
            Order::Answer(it) => {
                std::fs::create_dir_all(&it.dir).map_err(Failure::directory("opening"))?;
                Some(&it.connect)
            }
        };
        let connector = way.map(Connector::open).transpose().map_err(|why| lost(&why))?;
        Ok(Self { order, connector, jail: None })
    }

    /// With one thread only.
    pub fn shut_in(mut self, host: &Host) -> Result<Self, Failure> {
        let Some(connector) = &mut self.connector else { return Ok(self) };
        let (paths, required) = match self.order {
            Order::Prepare(_) => return Ok(self),
            Order::Query(it) => {
                let read = [&it.source.path, &it.index, &it.table];
                let mut paths: Vec<_> = read.map(|it| (it.clone(), Reach::Read)).into();
                paths.extend(jail::folders(&it.results));
                (paths, &it.jail)
            }
            Order::Answer(it) => {
                (vec![(it.index.clone(), Reach::Read), (it.dir.clone(), Reach::Keep)], &it.jail)
            }
        };
        self.jail = Some(jail::shut(paths, required, host, std::slice::from_mut(connector))?);
        Ok(self)
    }

    /// To its end.
    pub fn run(self, tell: Tell, cancelled: Arc<AtomicBool>) -> Result<Report, Failure> {
        let progress = Progress::new(tell, cancelled);
        let report = match (self.order, self.connector) {
            (Order::Prepare(it), _) => prepare::run(it, &progress),
            (Order::Query(it), Some(connector)) => online::query(it, connector, &progress),
            (Order::Answer(it), Some(connector)) => online::answer(it, connector, &progress),
            (Order::Query(_) | Order::Answer(_), None) => {
                Err(Failure::Order("a session without a connection".to_owned()))
            }
        };
        report.map(|report| Report { jail: self.jail, ..report })
    }
}

#[cfg(test)]
mod tests;
