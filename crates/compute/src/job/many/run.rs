//! One party's run: its list, its connections, the protocol, its rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tidm_jail::Reach;
use tidm_mpc::channel::Channel as _;
use tidm_mpc::channel::stream::Framed;
use tidm_mpc::fault::Fault;
use tidm_mpc::limits::MAX_PLACES;
use tidm_mpc::many;
use tidm_mpc::partition::part::{Distinct, Equals, Part};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, Session, Setting, Watch as _};
use tidm_mpc::step::Step;

use super::super::connect::{Connect as _, Connector, Way};
use super::super::failure::Failure;
use super::super::jail;
use super::super::limits::LOOK_AGAIN;
use super::super::link::Link;
use super::super::order::{Report, Results};
use super::super::party::{cpu_seconds, stamp};
use super::super::progress::{Progress, Tell, peak_bytes};
use super::super::visit::{lost, random};
use super::super::workers::Host;
use super::order::{KeySeed, Order, Side};
use crate::keys::{self, Bitmap};

/// What the last word is: this party has all that it will get.
const LAST_WORD: [u8; 1] = [1];

/// An order with its connections, and this process shut in before it hears anybody.
pub struct Opened<'a> {
    order: &'a Order,
    ways: Vec<Connector>,
    jail: tidm_jail::Report,
}

impl<'a> Opened<'a> {
    /// With one thread only.
    pub fn new(order: &'a Order, host: &Host) -> Result<Self, Failure> {
        order.check()?;
        // Those who call early find somebody who listens.
        let open = |way: &Way| Connector::open(way).map_err(|why| lost(&why));
        let mut paths = vec![(order.source.path.clone(), Reach::Read)];
        let mut ways = match &order.side {
            Side::Leader { connect, results } => {
                paths.extend(jail::folders(results));
                connect.iter().map(open).collect::<Result<Vec<_>, _>>()?
            }
            Side::Member { connect, .. } => vec![open(connect)?],
        };
        let jail = jail::shut(paths, &order.jail, host, &mut ways)?;
        Ok(Self { order, ways, jail })
    }

    /// To its end.
    pub fn run(self, tell: Tell, cancelled: Arc<AtomicBool>) -> Result<Report, Failure> {
        let report = run(self.order, self.ways, &Progress::new(tell, cancelled))?;
        Ok(Report { jail: Some(self.jail), ..report })
    }
}

fn run(order: &Order, ways: Vec<Connector>, progress: &Progress) -> Result<Report, Failure> {
    let mut report = Report { parts: 1, confirmed: true, ..Report::default() };
    let mut seconds = BTreeMap::new();
    let mut phase = |name: &str, began: Instant| {
        seconds.insert(name.to_owned(), began.elapsed().as_secs_f64());
    };
    let began = Instant::now();
    let list = List::read(order, progress)?;
    phase("reading", began);
    (report.rows, report.items) = (list.rows, list.items);
    (report.malformed, report.duplicates) = (list.rows - list.items, list.distinct.left_out);
    report.connections = ways.len() as u64;
    let began = Instant::now();
    match &order.side {
        Side::Leader { results, .. } => {
            let places = led(order, ways, &list.distinct, progress)?;
            phase("connecting and running", began);
            let began = Instant::now();
            report.matched = Some(written(order, &list, results, places, progress)?);
            phase("writing", began);
        }
        Side::Member { number, seed, .. } => {
            joined(order, ways, (*number, seed), &list.distinct, progress)?;
            phase("connecting and running", began);
        }
    }
    report.seconds = seconds;
    report.traffic = progress.traffic();
    report.sent = report.traffic.values().map(|moved| moved.sent).sum();
    report.received = report.traffic.values().map(|moved| moved.received).sum();
    (report.peak_bytes, report.cpu_seconds) = (peak_bytes(), cpu_seconds());
    Ok(report)
}

/// This party's list.
struct List {
    rows: u64,
    items: u64,
    stamp: (u64, u128),
    distinct: Distinct,
}

impl List {
    fn read(order: &Order, progress: &Progress) -> Result<Self, Failure> {
        progress.phase("reading", 0, None);
        let (place, format, id) = (order.source.place(), order.source.format.format(), order.id()?);
        let stamp = stamp(place.path)?;
        let mut source = keys::open(place, format, &order.rule, &order.mapping, &id.0)?;
        let (mut part, mut batch, mut row) = (Part::default(), Vec::new(), 0u64);
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
            let (count, most) = (part.items.len() as u64, order.own_items());
            if count > most {
                return Err(Fault::TooMany { what: "items of the list", count, most }.into());
            }
            if progress.cancelled() {
                return Err(Fault::Cancelled.into());
            }
            progress.done(row);
        }
        let counts = source.counts();
        let equals = match order.rule.equals {
            keys::Equals::Refuse => Equals::Refuse,
            keys::Equals::First => Equals::First,
            keys::Equals::Multiply => Equals::Multiply,
        };
        let distinct = part.distinct(equals, order.own_items())?;
        Ok(Self { rows: counts.rows, items: counts.items(), stamp, distinct })
    }
}

/// The leader's side: places of the rows that all have.
fn led(
    order: &Order,
    ways: Vec<Connector>,
    list: &Distinct,
    progress: &Progress,
) -> Result<Vec<u32>, Failure> {
    let mut channels = Vec::with_capacity(ways.len());
    progress.phase("connecting", 0, Some(ways.len() as u64));
    for (number, mut way) in ways.into_iter().enumerate() {
        match greeted(order, &mut way, (Party::Receiver, number), progress) {
            Ok(channel) => channels.push(channel),
            Err(failure) => return Err(ended(channels, failure.of_member(number))),
        }
        progress.done(channels.len() as u64);
    }
    progress.phase("running", 0, None);
    let done = all(order, &mut channels, list, progress);
    let places = match done {
        Ok(places) => places,
        Err(failure) => return Err(ended(channels, failure)),
    };
    for (number, channel) in channels.iter_mut().enumerate() {
        let said = channel.send(Step::Confirmation, &LAST_WORD);
        said.map_err(|fault| Failure::from(fault).of_member(number))?;
    }
    for channel in channels {
        channel.into_inner().finish();
    }
    Ok(list.all(places))
}

fn all(
    order: &Order,
    channels: &mut [Framed<Link>],
    list: &Distinct,
    progress: &Progress,
) -> Result<Vec<u32>, Failure> {
    let (id, terms) = (order.id()?, order.terms()?);
    let mut settings = Vec::with_capacity(channels.len());
    for channel in channels {
        let (seed, party) = (Seed::new(random()?), Party::Receiver);
        settings.push(Setting { channel, party, id, seed, watch: progress });
    }
    many::lead(settings, &terms, &list.set).map_err(|blamed| {
        let failure = Failure::from(blamed.fault);
        match blamed.member {
            Some(number) => failure.of_member(number),
            None => failure,
        }
    })
}

/// Says to all that nothing comes any more, and gives the reason back.
fn ended(channels: Vec<Framed<Link>>, why: Failure) -> Failure {
    for channel in channels {
        channel.into_inner().give_up();
    }
    why
}

/// A member's side.
fn joined(
    order: &Order,
    ways: Vec<Connector>,
    (number, seed): (usize, &KeySeed),
    list: &Distinct,
    progress: &Progress,
) -> Result<(), Failure> {
    let (id, terms, key) = (order.id()?, order.terms()?, seed.key());
    let mut way = ways.into_iter().next().ok_or(Fault::ApiMisuse("a member without a way"))?;
    loop {
        progress.phase("connecting", 0, None);
        let mut channel = greeted(order, &mut way, (Party::Sender, number), progress)?;
        progress.phase("running", 0, None);
        let seed = Seed::new(random()?);
        let setting =
            Setting { channel: &mut channel, party: Party::Sender, id, seed, watch: progress };
        let done = many::join(setting, &terms, number, &key, &list.set)
            .and_then(|()| channel.receive(Step::Confirmation, LAST_WORD.len()).map(drop));
        match done {
            Ok(()) => {
                channel.into_inner().finish();
                return Ok(());
            }
            // The leader did not hear our greeting, and calls again; nothing was said before.
            Err(Fault::Lost { step: Step::Hello, .. }) => {}
            Err(fault) => return Err(ended(vec![channel], fault.into())),
        }
    }
}

/// A connection over which both said who they are in this job. Nothing that depends on a list goes over it before: so one that is
/// lost until then is made again, while a peer is not there yet.
fn greeted(
    order: &Order,
    way: &mut Connector,
    (party, number): (Party, usize),
    progress: &Progress,
) -> Result<Framed<Link>, Failure> {
    let since = Instant::now();
    let mut reason = None;
    loop {
        if progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
        let left = order.patience().saturating_sub(since.elapsed());
        if let Some(reason) = reason.filter(|_| left.is_zero()) {
            return Err(reason);
        }
        let socket = way.connect(left, &progress.stop()).map_err(|why| lost(&why))?;
        let link = Link::new(socket, order.silence(), progress.stop());
        let mut channel = Framed::new(link.map_err(|why| lost(&why))?);
        let (id, seed) = (order.id()?, Seed::new(random()?));
        let setting = Setting { channel: &mut channel, party, id, seed, watch: progress };
        let greeting = [b"psi-many greeting".as_slice(), &(number as u64).to_le_bytes()].concat();
        let failure = match Session::open(setting, &greeting) {
            Ok(_) => return Ok(channel),
            Err(fault) => Failure::from(fault),
        };
        if !failure.is_lost() {
            return Err(ended(vec![channel], failure));
        }
        reason = Some(failure);
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The rows that all have, as they are asked for; how many.
fn written(
    order: &Order,
    list: &List,
    results: &Results,
    places: Vec<u32>,
    progress: &Progress,
) -> Result<u64, Failure> {
    progress.phase("writing", 0, None);
    if stamp(&order.source.path)? != list.stamp {
        return Err(Failure::SourceChanged { what: "its size, or the time of its last change," });
    }
    let mut bitmap = Bitmap::new(list.rows)?;
    for place in places {
        bitmap.set(place.into());
    }
    results.write(&order.source, &bitmap)?;
    Ok(bitmap.count())
}
