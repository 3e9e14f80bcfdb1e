//! The jail of a process that hears the peer: its list to read, its own folder to keep, the sockets it has.
//!
//! Threat model: what comes from the peer may make the process anybody's. From then on it can read and change what this job is
//! about, say what it likes to the peer over the job's connections, and use up memory and processor time; it cannot open another file,
//! make a connection, start a program or touch another process. What needs more happens before ([`super::call`], listeners) or in a
//! process that never hears a peer ([`super::workers`]).
//!
//! Never says more than holds: every layer stands in the report, and an order names those without which nothing begins.

use std::path::{Path, PathBuf};

use tidm_jail::{Bounds, Calls, Plan, Reach, Report};

use super::connect::Connector;
use super::failure::Failure;
use super::order::Order;
use super::workers::Host;

/// Shuts this process in. With one thread only, and with everything open that needs a socket of its own.
pub(super) fn enter(
    order: &Order,
    host: &Host,
    connector: &mut Connector,
) -> Result<Report, Failure> {
    connector.hire(host)?;
    let report = tidm_jail::enter(&plan(order));
    match report.missing(&order.jail) {
        Some((layer, reason)) => Err(Failure::Jail { layer, reason }),
        None => Ok(report),
    }
}

fn plan(order: &Order) -> Plan {
    // Its own counters: memory and processor time.
    let mut paths = vec![
        (PathBuf::from("/proc/self"), Reach::Read),
        (order.source.path.clone(), Reach::Read),
        (order.dir.clone(), Reach::Keep),
    ];
    let results = &order.results;
    for result in [&results.rows, &results.bitmap, &results.labels].into_iter().flatten() {
        let folder = result.parent().filter(|it| !it.as_os_str().is_empty());
        paths.push((folder.unwrap_or_else(|| Path::new(".")).to_owned(), Reach::Keep));
    }
    Plan { bounds: Bounds::default(), paths, calls: Calls::Files }
}
