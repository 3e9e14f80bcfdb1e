//! The session over a kept table: the client's list to its rows that are in it, and the server's one answer.

use std::path::Path;
use std::time::{Duration, Instant};

use tidm_mpc::channel::stream::Framed;
use tidm_mpc::fault::Fault;
use tidm_mpc::limits::MAX_PLACES;
use tidm_mpc::partition::part::{Distinct, Equals, Part};
use tidm_mpc::psi::Item;
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Watch as _};
use tidm_mpc::unbalanced::{self, Index, Key, Terms};

use super::files::{Stored, read_index};
use super::order::{Answer, Query, bytes32};
use crate::job::connect::{Connect as _, Connector};
use crate::job::failure::Failure;
use crate::job::limits::LOOK_AGAIN;
use crate::job::link::Link;
use crate::job::order::Report;
use crate::job::party::cpu_seconds;
use crate::job::progress::{Progress, peak_bytes};
use crate::job::visit::{lost, random};
use crate::keys::{self, Bitmap};

/// In the server's folder once the points of its session may leave.
const ANSWERED: &str = "answered";

/// The client: rows of its list whose items are in the table.
pub(super) fn query(
    order: &Query,
    connector: Connector,
    progress: &Progress,
) -> Result<Report, Failure> {
    let began = Instant::now();
    let (index, terms) = agreed(&order.index, &order.digest, order.items)?;
    let mut report = Report { parts: 1, ..Report::default() };
    let list = read(order, progress, &mut report)?;
    report.seconds.insert("reading".to_owned(), began.elapsed().as_secs_f64());
    let began = Instant::now();
    let mut table = Stored::open(&order.table)?;
    let way = Over { silence: order.silence, patience: order.patience };
    let job = SessionId(bytes32("job", &order.job)?);
    let (places, connections) =
        over((way, connector), job, Party::Receiver, progress, |setting| {
            unbalanced::query(setting, &terms, &index, &mut table, &list.set)
        })?;
    report.seconds.insert("running".to_owned(), began.elapsed().as_secs_f64());
    let mut bitmap = Bitmap::new(report.rows)?;
    for place in list.all(places) {
        bitmap.set(place.into());
    }
    progress.phase("writing", 0, None);
    order.results.write(&order.source, &bitmap)?;
    report.matched = Some(bitmap.count());
    Ok(told(report, connections, progress))
}

/// The server: evaluates what one client asks about, and does it once.
pub(super) fn answer(
    order: &Answer,
    connector: Connector,
    progress: &Progress,
) -> Result<Report, Failure> {
    let began = Instant::now();
    let (index, terms) = agreed(&order.index, &order.digest, order.items)?;
    let key = Key::new(&order.key.seed()?)?;
    let answered = order.dir.join(ANSWERED);
    let way = Over { silence: order.silence, patience: order.patience };
    let job = SessionId(bytes32("job", &order.job)?);
    let ((), connections) = over((way, connector), job, Party::Sender, progress, |setting| {
        if answered.exists() {
            return Err(again());
        }
        unbalanced::answer_if(setting, &terms, &index, &key, || once(&answered))
    })?;
    let mut report = Report { parts: 1, ..Report::default() };
    report.seconds.insert("running".to_owned(), began.elapsed().as_secs_f64());
    Ok(told(report, connections, progress))
}

fn again() -> Fault {
    Fault::TooMany { what: "answers of one session", count: 2, most: 1 }
}

/// On the disk before the first evaluated point leaves: after a crash nobody knows what was heard, so it counts as all.
fn once(path: &Path) -> Result<(), Fault> {
    let failed = |why: std::io::Error| {
        let exists = why.kind() == std::io::ErrorKind::AlreadyExists;
        if exists { again() } else { Fault::Spill { reason: why.to_string() } }
    };
    std::fs::File::create_new(path).and_then(|it| it.sync_all()).map_err(failed)?;
    let folder = path.parent().map_or_else(|| Ok(()), |it| std::fs::File::open(it)?.sync_all());
    folder.map_err(failed)
}

/// The index that the order means, and what both compare at the hello.
fn agreed(path: &Path, digest: &str, items: u64) -> Result<(Index, Terms), Failure> {
    let index = Index::parse(&read_index(path)?)?;
    let terms = Terms { table: bytes32("digest", digest)?, client_items: items };
    if index.digest() != terms.table {
        let reason = "the index is not the one that was signed".to_owned();
        return Err(Fault::Spill { reason }.into());
    }
    Ok((index, terms))
}

struct Over {
    silence: f64,
    patience: f64,
}

/// Connections one after the other until a session over one came to its end, and how many there were.
fn over<T>(
    (way, mut connector): (Over, Connector),
    id: SessionId,
    party: Party,
    progress: &Progress,
    mut run: impl FnMut(Setting<'_>) -> Result<T, Fault>,
) -> Result<(T, u64), Failure> {
    progress.phase("connecting", 0, None);
    let stop = progress.stop();
    let (since, patience) = (Instant::now(), Duration::from_secs_f64(way.patience));
    let mut reason = None;
    for connections in 1.. {
        if progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
        let left = patience.saturating_sub(since.elapsed());
        let socket = match connector.connect(left, &stop) {
            Ok(socket) if !left.is_zero() => socket,
            Ok(_) => break,
            Err(why) => return Err(reason.unwrap_or_else(|| lost(&why))),
        };
        let link = Link::new(socket, Duration::from_secs_f64(way.silence), progress.stop());
        let mut channel = Framed::new(link.map_err(|why| lost(&why))?);
        progress.phase("running", 0, None);
        let seed = Seed::new(random()?);
        let done = run(Setting { channel: &mut channel, party, id, seed, watch: progress });
        match done.map_err(Failure::from) {
            Ok(done) => {
                channel.into_inner().finish();
                return Ok((done, connections));
            }
            Err(failure) if failure.is_lost() => {
                drop(channel);
                std::thread::sleep(LOOK_AGAIN);
                reason = Some(failure);
            }
            Err(failure) => {
                channel.into_inner().give_up();
                return Err(failure);
            }
        }
    }
    Err(reason.unwrap_or_else(|| lost(&std::io::ErrorKind::TimedOut.into())))
}

/// The list's different items with their rows.
fn read(order: &Query, progress: &Progress, report: &mut Report) -> Result<Distinct, Failure> {
    progress.phase("reading", 0, None);
    let context = bytes32("context", &order.context)?;
    let (place, format) = (order.source.place(), order.source.format.format());
    let mut source = keys::open(place, format, &order.rule, &order.mapping, &context)?;
    let mut batch: Vec<Option<Item>> = Vec::new();
    let (mut part, mut row) = (Part::default(), 0u64);
    while source.next(&mut batch)? {
        for item in &batch {
            if let Some(item) = item {
                part.push(item.0, u32::try_from(row).unwrap_or(u32::MAX));
            }
            row += 1;
        }
        if row > MAX_PLACES {
            let what = "rows of a list";
            return Err(Fault::TooMany { what, count: row, most: MAX_PLACES }.into());
        }
        let (count, most) = (part.len() as u64, order.items);
        if count > most {
            return Err(Fault::TooMany { what: "items of the list", count, most }.into());
        }
    }
    progress.done(row);
    (report.rows, report.items) = (source.counts().rows, source.counts().items());
    report.malformed = report.rows - report.items;
    let equals = match order.rule.equals {
        keys::Equals::Refuse => Equals::Refuse,
        keys::Equals::First => Equals::First,
        keys::Equals::Multiply => Equals::Multiply,
    };
    let list = part.distinct(equals, order.items)?;
    report.duplicates = list.left_out;
    Ok(list)
}

fn told(mut report: Report, connections: u64, progress: &Progress) -> Report {
    (report.connections, report.confirmed) = (connections, true);
    report.traffic = progress.traffic();
    report.sent = report.traffic.values().map(|moved| moved.sent).sum();
    report.received = report.traffic.values().map(|moved| moved.received).sum();
    (report.peak_bytes, report.cpu_seconds) = (peak_bytes(), cpu_seconds());
    report
}
