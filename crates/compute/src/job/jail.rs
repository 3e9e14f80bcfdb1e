//! The jail of a process that hears the peer: its list to read, its own folder to keep, the sockets it has.
//!
//! Threat model: what comes from the peer may make the process anybody's. From then on it can read and change what this job is
//! about, say what it likes to the peer over the job's connections, and use up memory and processor time; it cannot open another file,
//! make a connection, start a program or touch another process. What needs more happens before ([`super::call`], listeners) or in a
//! process that never hears a peer ([`super::workers`]).
//!
//! Never says more than holds: every layer stands in the report, and an order names those without which nothing begins.

use std::path::{Path, PathBuf};

use tidm_jail::{Bounds, Calls, Layer, Plan, Reach, Report};

use super::connect::Connector;
use super::failure::Failure;
use super::order::{Order, Results};
use super::workers::Host;

/// Shuts this process in. With one thread only, and with everything open that needs a socket of its own.
pub(super) fn enter(
    order: &Order,
    host: &Host,
    connector: &mut Connector,
) -> Result<Report, Failure> {
    let mut paths =
        vec![(order.source.path.clone(), Reach::Read), (order.dir.clone(), Reach::Keep)];
    paths.extend(folders(&order.results));
    shut(paths, &order.jail, host, std::slice::from_mut(connector))
}

/// The same for any process that hears a peer: what it reaches besides its own counters, and the layers without which nothing
/// begins.
pub(crate) fn shut(
    mut paths: Vec<(PathBuf, Reach)>,
    required: &[Layer],
    host: &Host,
    connectors: &mut [Connector],
) -> Result<Report, Failure> {
    for connector in connectors {
        connector.hire(host)?;
    }
    // Memory and processor time.
    paths.push((PathBuf::from("/proc/self"), Reach::Read));
    let plan = Plan { bounds: Bounds::default(), paths, calls: Calls::Files };
    let report = tidm_jail::enter(&plan);
    match report.missing(required) {
        Some((layer, reason)) => Err(Failure::Jail { layer, reason }),
        None => Ok(report),
    }
}

/// Where results are written.
pub(crate) fn folders(results: &Results) -> Vec<(PathBuf, Reach)> {
    let files = [&results.rows, &results.bitmap, &results.labels];
    let folder = |file: &PathBuf| {
        let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
        (folder.unwrap_or_else(|| Path::new(".")).to_owned(), Reach::Keep)
    };
    files.into_iter().flatten().map(folder).collect()
}
