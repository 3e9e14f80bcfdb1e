//! One party's whole job: greeting, cutting the list, parts here or in workers, the result.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, UNIX_EPOCH};

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::Job;
use tidm_mpc::partition::cut::{Cut, key};
use tidm_mpc::partition::plan::Plan;
use tidm_mpc::partition::talk::Agreed;
use tidm_mpc::psi::Item;
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, Watch as _};
use tidm_mpc::step::Step;

use super::connect::{Connect, Connector};
use super::failure::Failure;
use super::journal::{Entry, Journal, Listed, State};
use super::kept::Kept;
use super::limits::FAREWELL;
use super::more::Extra;
use super::order::{Order, Report, Results, hex};
use super::progress::{Greeted, Progress, Tell, peak_bytes};
use super::room::Room;
use super::store::{Disk, Spill, Store, clear};
use super::visit::{Ended, Prepare, Visitor, lost, random};
use super::what::What;
use super::work::Keys;
use super::workers::{Crew, Host};
use crate::keys::{self, Bitmap, Place};

/// Runs an order to its end. Started again with the same order after any crash, it goes on where it was.
pub fn run(
    order: &Order,
    host: &Host,
    tell: Tell,
    cancelled: Arc<AtomicBool>,
) -> Result<Report, Failure> {
    Opened::new(order)?.run(order, host, tell, cancelled)
}

/// What a job opens before anything is said: behind it comes the jail, where there is one.
pub(super) struct Opened {
    /// Held until the end: one process at a time works in the job's directory.
    _lock: std::fs::File,
    pub(super) connector: Connector,
}

impl Opened {
    pub(super) fn new(order: &Order) -> Result<Self, Failure> {
        order.check()?;
        let failed = |why| Failure::directory("opening")(why);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&order.dir).map_err(failed)?;
        let lock = std::fs::File::create(order.dir.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|_| Failure::Busy)?;
        let connector = Connector::open(&order.connect).map_err(|why| lost(&why))?;
        Ok(Self { _lock: lock, connector })
    }

    /// The rest of the order.
    pub(super) fn run(
        mut self,
        order: &Order,
        host: &Host,
        tell: Tell,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Report, Failure> {
        run_opened(order, host, &mut self.connector, &Progress::new(tell, cancelled))
    }
}

fn run_opened(
    order: &Order,
    host: &Host,
    connector: &mut Connector,
    progress: &Progress,
) -> Result<Report, Failure> {
    let job = order.job()?;
    let journal = Journal::open(&order.dir, digest(&job), order.journal.as_ref())?;
    let mut visitor = Visitor { order, job, journal, progress, number: 0 };
    let mut clock = Clock::default();
    progress.phase("connecting", 0, None);
    let mut crew = None;
    let mut jail = None;
    let confirmed = if order.workers > 1 {
        let mut workers = Crew::new(order, host, progress, connector)?;
        let mut began = Instant::now();
        let greeted = workers.greet()?;
        clock.seconds.insert("reading".to_owned(), greeted.seconds);
        jail = Some(greeted.jail);
        let confirmed = match (greeted.confirmed, greeted.key) {
            (false, Some(key)) => {
                began = Instant::now();
                workers.run(&visitor.journal, key)?
            }
            (confirmed, _) => confirmed,
        };
        clock.add("running", began);
        crew = Some(workers);
        confirmed
    } else {
        let began = Instant::now();
        let mut own = Own::new(&mut clock, false);
        let confirmed = serve(&mut visitor, connector, &mut own)?;
        let whole = began.elapsed().as_secs_f64();
        let reading = clock.seconds.get("reading").copied().unwrap_or(0.0);
        clock.seconds.insert("connecting and running".to_owned(), whole - reading);
        confirmed
    };
    if confirmed {
        visitor.journal.note(&Entry::Closed)?;
    }
    let mut report = conclude(&visitor, &mut clock)?;
    (report.confirmed, report.jail) = (confirmed, jail);
    report.traffic = progress.traffic();
    (report.peak_bytes, report.cpu_seconds) = (peak_bytes(), cpu_seconds());
    if let Some(crew) = crew {
        crew.add_to(&mut report);
    }
    report.sent = report.traffic.values().map(|moved| moved.sent).sum();
    report.received = report.traffic.values().map(|moved| moved.received).sum();
    report.seconds = clock.seconds;
    clear(&order.dir).map_err(Failure::directory("clearing"))?;
    Ok(report)
}

/// What a journal belongs to.
pub(super) fn digest(job: &Job) -> [u8; 32] {
    tidm_mpc::hash::derive("tidm compute 1 job", &[&job.id, &job.bytes()])
}

/// Seconds by phase.
#[derive(Default)]
struct Clock {
    seconds: BTreeMap<String, f64>,
}

impl Clock {
    fn add(&mut self, phase: &str, began: Instant) {
        *self.seconds.entry(phase.to_owned()).or_default() += began.elapsed().as_secs_f64();
    }
}

/// Connections, one after the other, until both have everything; false if only this party is sure to have it.
pub(super) fn serve(
    visitor: &mut Visitor<'_>,
    connect: &mut dyn Connect,
    prepare: &mut dyn Prepare,
) -> Result<bool, Failure> {
    let order = visitor.order;
    let mut since = Instant::now();
    let mut reason = None;
    loop {
        if visitor.progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
        let state = visitor.journal.state()?;
        if state.closed {
            return Ok(true);
        }
        let complete = order.what.complete(&state);
        // A receiver that has everything needs nobody; a sender may be asked again for what it has kept first.
        let whole = match (complete, order.party()) {
            (true, Party::Receiver) => FAREWELL.min(order.patience()),
            _ => order.patience(),
        };
        let left = whole.saturating_sub(since.elapsed());
        let socket = match connect.connect(left, &visitor.progress.stop()) {
            Ok(socket) => socket,
            Err(_) if visitor.progress.cancelled() => return Err(Fault::Cancelled.into()),
            Err(_) if complete => return Ok(false),
            Err(why) => return Err(reason.unwrap_or_else(|| lost(&why))),
        };
        let connections = state.connections;
        match visitor.visit(socket, prepare) {
            Ok(Ended::Complete) if order.what.complete(&visitor.journal.state()?) => {
                return Ok(true);
            }
            // The receiver says when no part is left.
            Ok(Ended::Complete) => {
                let what = "it ended the job before all parts had run";
                return Err(Fault::PeerMisbehaved { step: Step::Part, what }.into());
            }
            Ok(Ended::Greeted) => since = Instant::now(),
            Err(failure) if failure.is_lost() => {
                // A connection over which parts ran was progress; others only use up patience.
                if visitor.journal.state()?.connections > connections {
                    since = Instant::now();
                }
                std::thread::sleep(super::limits::LOOK_AGAIN);
                reason = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// What the first worker of a party does: greets and cuts the list, and says so.
pub(super) fn greet(
    visitor: &mut Visitor<'_>,
    connector: &mut Connector,
    jail: tidm_jail::Report,
) -> Result<Greeted, Failure> {
    let mut clock = Clock::default();
    let mut own = Own::new(&mut clock, true);
    let confirmed = greeted(visitor, connector, &mut own)?;
    let key = own.key.map(|key| hex(&key));
    let seconds = clock.seconds.get("reading").copied().unwrap_or(0.0);
    Ok(Greeted { confirmed, key, jail, seconds })
}

/// The first connection of a party with workers. True if both have everything already.
fn greeted(
    visitor: &mut Visitor<'_>,
    connector: &mut Connector,
    own: &mut Own<'_>,
) -> Result<bool, Failure> {
    let since = Instant::now();
    loop {
        let state = visitor.journal.state()?;
        if state.closed {
            return Ok(true);
        }
        let left = visitor.order.patience().saturating_sub(since.elapsed());
        let socket = match connector.connect(left, &visitor.progress.stop()) {
            Ok(socket) => socket,
            Err(_) if visitor.progress.cancelled() => return Err(Fault::Cancelled.into()),
            Err(_) if state.complete() => return Ok(false),
            Err(why) => return Err(lost(&why)),
        };
        match visitor.visit(socket, own) {
            Ok(_) => {}
            Err(failure) if failure.is_lost() && own.key.is_none() => {
                std::thread::sleep(super::limits::LOOK_AGAIN);
                continue;
            }
            Err(failure) if failure.is_lost() => {}
            Err(failure) => return Err(failure),
        }
        return Ok(false);
    }
}

/// This party's list, cut once, or again where that is cheaper than to remember it.
struct Own<'a> {
    clock: &'a mut Clock,
    /// Workers run the parts, not this process.
    shared: bool,
    store: Option<Arc<Store>>,
    /// The key of the parts on the disk, for workers.
    key: Option<[u8; 32]>,
    extra: Arc<Extra>,
}

impl Prepare for Own<'_> {
    fn prepare(
        &mut self,
        visitor: &mut Visitor<'_>,
        agreed: &Agreed,
        finished: &[bool],
    ) -> Result<Option<Arc<Store>>, Failure> {
        // Parts on the disk are there until both have kept them; those in memory are used up.
        let whole = self.store.as_ref().is_some_and(|store| match &**store {
            Store::Disk { .. } => true,
            Store::Memory(_) => {
                let missing = (0u32..).zip(finished).filter(|(_, finished)| !**finished);
                missing.into_iter().all(|(part, _)| store.has(part))
            }
        });
        if !whole {
            let began = Instant::now();
            self.store = None;
            self.store = Some(Arc::new(self.cut(visitor, agreed, finished)?));
            self.clock.add("reading", began);
        }
        Ok(self.store.clone().filter(|_| !self.shared))
    }

    fn extra(&self) -> Arc<Extra> {
        Arc::clone(&self.extra)
    }
}

impl<'a> Own<'a> {
    fn new(clock: &'a mut Clock, shared: bool) -> Self {
        Self { clock, shared, store: None, key: None, extra: Arc::default() }
    }

    fn cut(
        &mut self,
        visitor: &mut Visitor<'_>,
        agreed: &Agreed,
        finished: &[bool],
    ) -> Result<Store, Failure> {
        let order = visitor.order;
        clear(&order.dir).map_err(Failure::directory("clearing"))?;
        let plan = Plan { whole: visitor.job.whole, parts: agreed.parts };
        let wanted: Vec<bool> = finished.iter().map(|finished| !finished).collect();
        if !wanted.contains(&true) {
            self.key = Some(random()?);
            return Ok(Store::Memory(Default::default()));
        }
        self.extra = Arc::new(Extra::read(order)?);
        let job = &visitor.job;
        let cut =
            Cut::new(&key(&job.id, &agreed.receiver_nonce, &agreed.sender_nonce), agreed.parts);
        let room = Room::of(order, job.equals, &plan);
        let key = random()?;
        let (dir, buffered) = (order.dir.clone(), order.buffered());
        let disk = Disk { dir, key: Seed::new(key), buffered };
        let spill = if order.in_memory(&plan) {
            Spill::to_memory(cut, wanted, room, disk)
        } else {
            self.key = Some(key);
            Spill::to_disk(cut, wanted, room, disk)
        };
        let (store, listed) = read(visitor, spill)?;
        match visitor.journal.state()?.list {
            Some(before) => same(&before, &listed)?,
            None => visitor.journal.note(&Entry::List(listed))?,
        }
        Ok(store)
    }
}

/// Reads the list into parts.
fn read(visitor: &Visitor<'_>, mut spill: Spill) -> Result<(Store, Listed), Failure> {
    const TELL_ROWS: u64 = 1 << 18;
    let Visitor { order, job, progress, .. } = visitor;
    // The agreed size: near what the list has, and known before it is read.
    progress.phase("reading", 0, Some(order.own_items()));
    let (bytes, modified) = stamp(&order.source.path)?;
    let (place, format) = (order.source.place(), order.format());
    let mut source = keys::open(place, format, &order.rule, &order.mapping, &job.id)?;
    let (mut batch, mut items, mut rows): (Vec<Option<Item>>, Vec<u128>, Vec<u32>) =
        Default::default();
    let mut row = 0u64;
    while source.next(&mut batch)? {
        items.clear();
        rows.clear();
        for item in &batch {
            if let Some(item) = item {
                items.push(item.0);
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
            row += 1;
        }
        if row > tidm_mpc::limits::MAX_PLACES {
            let most = tidm_mpc::limits::MAX_PLACES;
            return Err(Fault::TooMany { what: "rows of a list", count: row, most }.into());
        }
        spill.push(&items, rows.iter().copied())?;
        if spill.items > order.own_items()
            && job.equals == tidm_mpc::partition::part::Equals::Refuse
        {
            let (count, most) = (spill.items, order.own_items());
            return Err(Fault::TooMany { what: "items of the list", count, most }.into());
        }
        if row % TELL_ROWS < batch.len() as u64 {
            progress.done(row);
            if progress.cancelled() {
                return Err(Fault::Cancelled.into());
            }
        }
    }
    progress.done(row);
    let counts = source.counts();
    let (rows, items) = (counts.rows, counts.items());
    let digest = spill.digest;
    let listed = Listed { bytes, modified, rows, items, malformed: rows - items, digest };
    Ok((spill.finish()?, listed))
}

pub(super) fn stamp(path: &Path) -> Result<(u64, u128), Failure> {
    let failed = |_| Failure::SourceChanged { what: "it is not there any more" };
    let Ok(data) = std::fs::metadata(path) else { return Ok((0, 0)) };
    let modified = data.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.ok_or(()).map_err(failed)?;
    Ok((data.len(), modified.as_nanos()))
}

fn same(before: &Listed, now: &Listed) -> Result<(), Failure> {
    let changed = |what| Err(Failure::SourceChanged { what });
    if before.bytes != now.bytes {
        return changed("its size");
    }
    if before.rows != now.rows || before.items != now.items {
        return changed("the number of its rows");
    }
    if before.digest != now.digest {
        return changed("a key");
    }
    if before.modified != now.modified {
        return changed("the time of its last change");
    }
    Ok(())
}

/// Puts the parts together and writes what was asked for.
fn conclude(visitor: &Visitor<'_>, clock: &mut Clock) -> Result<Report, Failure> {
    let began = Instant::now();
    let Visitor { order, journal, progress, .. } = visitor;
    progress.phase("writing", 0, None);
    let State { agreed, list, connections, parts, more, .. } = journal.state()?;
    let listed = list.unwrap_or_default();
    // Of several workers none saw all parts.
    Keys { found: 0, most: order.own_items() }.add(parts.values().map(|part| part.items).sum())?;
    let mut report = Report {
        rows: listed.rows,
        items: listed.items,
        malformed: listed.malformed,
        duplicates: parts.values().map(|part| part.left_out).sum(),
        matched: parts.values().map(|part| part.matched).sum(),
        parts: agreed.map_or(0, |agreed| agreed.parts),
        connections,
        answer: more.opened.map(|opened| order.what.answer(&opened)),
        ..Report::default()
    };
    if report.matched.is_some() && order.results != Results::default() {
        let now = stamp(&order.source.path)?;
        same(&listed, &Listed { bytes: now.0, modified: now.1, ..listed })?;
        let mut bitmap = Bitmap::new(listed.rows)?;
        let counts = |part, run| parts.get(&part).is_some_and(|it| it.run == Some(run));
        journal.read(|entry| {
            let rows = match entry {
                Entry::Done(done) => done.places.unwrap_or_default(),
                Entry::Rows { part, run, rows } if counts(part, run) => rows,
                Entry::Nonce(_)
                | Entry::Agreed(_)
                | Entry::Connected
                | Entry::List(_)
                | Entry::Rows { .. }
                | Entry::Whole { .. }
                | Entry::More(_)
                | Entry::Closed => return,
            };
            for row in rows {
                bitmap.set(row.into());
            }
        })?;
        report.matched = Some(bitmap.count());
        order.results.write(&order.source, &bitmap)?;
        if let (Some(path), What::Labels { columns, .. }) = (&order.results.labels, &order.what) {
            let to = order.results.place(path);
            report.bad_labels = Some(write_labels(journal, to, columns)?).filter(|it| *it > 0);
        }
    }
    clock.add("writing", began);
    Ok(report)
}

/// Labels of all parts, by rows. A part that ran twice has the same ones twice.
fn write_labels(journal: &Journal, to: Place<'_>, columns: &[String]) -> Result<u64, Failure> {
    let mut all = BTreeMap::new();
    journal.read(|entry| {
        if let Entry::More(Kept::Labels { found, .. }) = entry {
            all.extend(found.into_iter().map(|it| (u64::from(it.place) + 1, it.label)));
        }
    })?;
    let all = all.iter().map(|(row, label)| (*row, label.as_slice()));
    Ok(keys::write_labels(to, columns, all)?)
}

/// Processor time of this process and of children that ended, in steps of 10 ms, as Linux tells it.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let ticks = after.split(' ').skip(11).take(4).filter_map(|it| it.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
