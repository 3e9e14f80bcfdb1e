//! From a list to a table: F of each item under the version's key, equal ones once; sorted, in segments, with an index. Equal keys are
//! found part by part among the entries, so a list may be as long as the disk allows.

use std::time::Instant;

use tidm_mpc::fault::Fault;
use tidm_mpc::psi::Item;
use tidm_mpc::session::Watch as _;
use tidm_mpc::unbalanced::{Builder, Header, Key};

use super::files::{INDEX, TABLE, Waiting, Written};
use super::limits::{ENTRIES_AT_ONCE, THREADS};
use super::order::{Prepare, bytes32};
use crate::job::failure::Failure;
use crate::job::order::Report;
use crate::job::party::cpu_seconds;
use crate::job::progress::{Progress, peak_bytes};
use crate::keys::{self, Equals};

pub(super) fn run(order: &Prepare, progress: &Progress) -> Result<Report, Failure> {
    std::fs::create_dir_all(&order.dir).map_err(Failure::directory("opening"))?;
    let mut report = Report { parts: 1, confirmed: true, ..Report::default() };
    let seed = order.key.seed()?;
    let key = Key::new(&seed)?;
    let header = Header {
        version: order.version,
        entries: order.entries,
        client_items: order.client_items,
        public: key.public(),
    };
    let mut waiting = Waiting(order.dir.clone());
    let mut builder = Builder::new(header, &mut waiting)?;
    let began = Instant::now();
    push_all(order, (&key, &header), &mut builder, progress, &mut report)?;
    report.seconds.insert("table".to_owned(), began.elapsed().as_secs_f64());

    let began = Instant::now();
    progress.phase("writing", 0, None);
    report.duplicates = builder.keep_first()?;
    if report.duplicates > 0 && order.rule.equals == Equals::Refuse {
        return Err(Fault::Duplicates { count: report.duplicates }.into());
    }
    if progress.cancelled() {
        return Err(Fault::Cancelled.into());
    }
    let mut table = Written::create(&order.dir.join(TABLE))?;
    let index = builder.finish(&mut table, &seed)?;
    table.finish()?;
    let mut written = Written::create(&order.dir.join(INDEX))?;
    tidm_mpc::unbalanced::Sink::write(&mut written, &index.bytes())?;
    written.finish()?;
    report.seconds.insert("writing".to_owned(), began.elapsed().as_secs_f64());
    (report.peak_bytes, report.cpu_seconds) = (peak_bytes(), cpu_seconds());
    Ok(report)
}

/// The entries of all rows, as they are read: no more of the list is held than one round of all threads.
fn push_all(
    order: &Prepare,
    (key, header): (&Key, &Header),
    builder: &mut Builder<'_>,
    progress: &Progress,
    report: &mut Report,
) -> Result<(), Failure> {
    progress.phase("table", 0, Some(order.entries));
    let context = bytes32("context", &order.context)?;
    let (place, format) = (order.source.place(), order.source.format.format());
    let mut source = keys::open(place, format, &order.rule, &order.mapping, &context)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let (mut batch, mut items): (Vec<Option<Item>>, Vec<Item>) = Default::default();
    let mut all = 0;
    loop {
        let more = source.next(&mut batch)?;
        if more {
            items.extend(batch.iter().flatten());
        }
        if items.len() < ENTRIES_AT_ONCE * threads && more {
            continue;
        }
        all += items.len() as u64;
        if all > order.entries {
            let (count, most) = (all, order.entries);
            return Err(Fault::TooMany { what: "entries of the table", count, most }.into());
        }
        for entries in entries(key, header, &items)? {
            builder.push(&entries)?;
        }
        items.clear();
        progress.done(all);
        if progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
        if !more {
            break;
        }
    }
    let counts = source.counts();
    (report.rows, report.items) = (counts.rows, counts.items());
    report.malformed = counts.rows - counts.items();
    Ok(())
}

/// F of a round's items, by several threads.
fn entries(key: &Key, header: &Header, round: &[Item]) -> Result<Vec<Vec<u128>>, Failure> {
    std::thread::scope(|scope| {
        let begun: Vec<_> = round
            .chunks(ENTRIES_AT_ONCE)
            .map(|part| scope.spawn(move || key.entries(header, part)))
            .collect();
        let gone = || Fault::ApiMisuse("a thread of the table panicked");
        begun.into_iter().map(|it| Ok(it.join().map_err(|_| gone())??)).collect()
    })
}
