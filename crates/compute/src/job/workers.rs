//! Several processes of one party: one greets and cuts the list, the others run parts, all started by one that never hears the peer.
//!
//! Who hears the peer is in a jail in which nothing can be started ([`super::jail`]). Who starts them reads their lines, within
//! bounds, and their journals. A worker gets the order and the key of the parts through its stdin, which stays open: a worker whose coordinator died reads its
//! end and dies too. One that is killed is replaced; the part it held is free again, as locks die with processes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tidm_mpc::fault::Fault;
use tidm_mpc::partition::talk::Agreed;
use tidm_mpc::random::Seed;
use tidm_mpc::session::Watch as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::connect::{Connector, Way};
use super::failure::{ErrorReport, Failure};
use super::journal::Journal;
use super::limits::{
    LOOK_AGAIN, MAX_LINE_BYTES, MAX_MOVED_BYTES, MAX_WAITING_LINES, REPLACED_PER_WORKER,
};
use super::order::{Order, Report, unhex};
use super::party::{digest, greet, serve};
use super::progress::{
    Event, Greeted, Moved, Open, Progress, Tell, Told, Traffic, add, believed, peak_bytes,
};
use super::store::Store;
use super::visit::{Prepare, Visitor, lost};

/// What a process of a job is started with in its environment.
pub const MALLOC: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// How this program is called so that it arrives at [`super::worker_main`]: the arguments before those of this module.
#[derive(Clone, Debug, Default)]
pub struct Host {
    pub arguments: Vec<String>,
}

impl Host {
    /// This program, to be started as `job` or `part` of one.
    pub fn command(&self, part: &str) -> Result<Command, Failure> {
        let program =
            std::env::current_exe().map_err(Failure::directory("finding this program"))?;
        let mut command = Command::new(program);
        command.args(&self.arguments).arg(part);
        // A run takes and gives back hundreds of bytes per item, in a few large pieces: with large pages the kernel has a fifth
        // less of processor time to spend on that. Other allocators than glibc's do not read this.
        if std::env::var_os(MALLOC.0).is_none() {
            command.env(MALLOC.0, MALLOC.1);
        }
        Ok(command)
    }
}

/// What a worker reads; the coordinator's own, or one that joins from another machine, with the same directory and a way of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    pub order: Order,
    /// Of the parts; absent for the first, who cuts them.
    pub key: Option<String>,
    /// Where among the parts it begins: workers with different ones seldom want the same.
    pub number: u32,
}

/// The workers of one party.
pub struct Crew<'a> {
    order: &'a Order,
    host: &'a Host,
    key: Option<Zeroizing<String>>,
    way: Way,
    progress: &'a Progress,
    tell: SyncSender<Heard>,
    heard: Receiver<Heard>,
    workers: Vec<Started>,
    /// How many of them only greeted, before the others were started.
    greeters: usize,
}

/// What the worker of this index said.
type Heard = (usize, Line);

enum Line {
    Event(Box<Event>),
    End,
}

struct Started {
    child: Child,
    number: u32,
    told: Told,
    traffic: Traffic,
    peak_bytes: u64,
    ended: bool,
    error: Option<ErrorReport>,
}

impl Started {
    fn new(child: Child, number: u32) -> Self {
        Self {
            child,
            number,
            told: Told::default(),
            traffic: Traffic::new(),
            peak_bytes: 0,
            ended: false,
            error: None,
        }
    }
}

impl<'a> Crew<'a> {
    pub fn new(
        order: &'a Order,
        host: &'a Host,
        progress: &'a Progress,
        connector: &Connector,
    ) -> Result<Self, Failure> {
        let way = match connector.listener() {
            None => order.connect.clone(),
            Some(listener) => {
                let fd = listener.fd();
                fcntl_setfd(fd, FdFlags::empty())
                    .map_err(|why| Failure::directory("sharing the listener")(why.into()))?;
                Way::ListenFd(std::os::fd::AsRawFd::as_raw_fd(&fd))
            }
        };
        let (tell, heard) = sync_channel(MAX_WAITING_LINES);
        Ok(Self {
            order,
            host,
            key: None,
            way,
            progress,
            tell,
            heard,
            workers: Vec::new(),
            greeters: 0,
        })
    }

    /// One worker greets the peer and cuts the list.
    pub fn greet(&mut self) -> Result<Greeted, Failure> {
        self.start(0)?;
        let (mut replaced, mut greeted) = (0, None);
        loop {
            let Some((index, line)) = self.next()? else { continue };
            match line {
                Line::Event(event) => match *event {
                    Event::Cut(it) => greeted = Some(it),
                    Event::Progress(_) => self.progress.event(&event),
                    Event::Error(error) => return Err(Failure::Told(error)),
                    Event::Moved { traffic, peak_bytes } => {
                        self.moved(index, traffic, peak_bytes)?;
                    }
                    Event::Ended | Event::Report(_) | Event::Open(_) => {}
                },
                Line::End => {
                    self.end();
                    if let Some(greeted) = greeted {
                        return Ok(greeted);
                    }
                    replaced += 1;
                    if replaced > REPLACED_PER_WORKER {
                        return Err(Failure::WorkersKilled(replaced));
                    }
                    self.start(0)?;
                }
            }
        }
    }

    /// What was heard, if anything was for a while.
    fn next(&self) -> Result<Option<Heard>, Failure> {
        let heard = self.heard.recv_timeout(LOOK_AGAIN);
        if self.progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
        Ok(heard.ok())
    }

    fn end(&mut self) {
        for worker in &mut self.workers {
            // One that is gone already is what we want.
            drop(worker.child.kill());
            drop(worker.child.wait());
        }
    }

    /// Until one worker says that both have everything. False if only this party is sure to have it.
    pub fn run(&mut self, journal: &Journal, key: String) -> Result<bool, Failure> {
        if self.order.open {
            self.progress.event(&Event::Open(Open { key: key.clone() }));
        }
        self.key = Some(Zeroizing::new(key));
        self.greeters = self.workers.len();
        let of = journal.state()?.agreed.map_or(0, |agreed| agreed.parts.into());
        self.progress.phase("running", journal.parts_kept()?, Some(of));
        for number in 0..self.order.workers {
            self.start(number)?;
        }
        let result = self.watch(journal);
        self.end();
        result
    }

    fn start(&mut self, number: u32) -> Result<(), Failure> {
        let failed = |why| Failure::directory("starting a worker")(why);
        let mut command = self.host.command("part")?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let order = Order { connect: self.way.clone(), ..self.order.clone() };
        let mut start = Start { order, key: self.key.as_ref().map(|key| key.to_string()), number };
        let mut line = serde_json::to_vec(&start).map_err(|why| Failure::Order(why.to_string()))?;
        line.push(b'\n');
        if let Some(stdin) = &mut child.stdin {
            stdin.write_all(&line).map_err(failed)?;
        }
        start.key.zeroize();
        line.zeroize();
        let index = self.workers.len();
        if let Some(stdout) = child.stdout.take() {
            let heard = self.tell.clone();
            std::thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                let mut line = String::new();
                while matches!((&mut stdout).take(MAX_LINE_BYTES).read_line(&mut line), Ok(1..)) {
                    if let Ok(event) = serde_json::from_str(&line) {
                        drop(heard.send((index, Line::Event(Box::new(event)))));
                    }
                    line.clear();
                }
                drop(heard.send((index, Line::End)));
            });
        }
        self.workers.push(Started::new(child, number));
        Ok(())
    }

    fn watch(&mut self, journal: &Journal) -> Result<bool, Failure> {
        let own = self.progress.moved_in_all();
        let mut replaced = 0;
        loop {
            let Some((index, line)) = self.next()? else { continue };
            let Some(worker) = self.workers.get_mut(index) else { continue };
            match line {
                Line::Event(event) => match *event {
                    Event::Progress(told) => {
                        worker.told = told;
                        let sum = |own: u64, of: fn(&Told) -> u64| -> u64 {
                            self.workers
                                .iter()
                                .fold(own, |all, it| all.saturating_add(of(&it.told)))
                        };
                        let moved = Moved {
                            sent: sum(own.sent, |it| it.sent),
                            received: sum(own.received, |it| it.received),
                        };
                        // A worker counts parts that others had kept before it came, too.
                        self.progress.of_workers(journal.parts_kept()?, moved);
                    }
                    Event::Moved { traffic, peak_bytes } => {
                        self.moved(index, traffic, peak_bytes)?;
                    }
                    Event::Ended => worker.ended = true,
                    Event::Error(error) => worker.error = Some(error),
                    Event::Report(_) | Event::Cut(_) | Event::Open(_) => {}
                },
                Line::End if worker.ended => return Ok(true),
                Line::End => {
                    if let Some(error) = worker.error.take() {
                        return Err(Failure::Told(error));
                    }
                    replaced += 1;
                    if replaced > REPLACED_PER_WORKER * self.order.workers {
                        return Err(Failure::WorkersKilled(replaced));
                    }
                    let number = worker.number;
                    drop(worker.child.wait());
                    self.start(number)?;
                }
            }
        }
    }

    /// What a worker says that it moved: told as far as it can be so, before the job ends with one that says more.
    fn moved(&mut self, index: usize, said: Traffic, peak_bytes: u64) -> Result<(), Failure> {
        let (traffic, sound) = believed(said);
        let peak_bytes = peak_bytes.min(MAX_MOVED_BYTES);
        if let Some(worker) = self.workers.get_mut(index) {
            (worker.traffic, worker.peak_bytes) = (traffic, peak_bytes);
        }
        self.tell_moved(peak_bytes);
        if sound { Ok(()) } else { Err(Failure::Untrue) }
    }

    /// What all of them moved so far.
    fn tell_moved(&self, peak_bytes: u64) {
        let mut traffic = Traffic::new();
        self.workers.iter().for_each(|it| add(&mut traffic, &it.traffic));
        self.progress.event(&Event::Moved { traffic, peak_bytes });
    }

    /// What the workers moved, and the memory of those that were there at the same time: of one that was replaced, or of who
    /// replaced it.
    pub fn add_to(&self, report: &mut Report) {
        let mut peaks = BTreeMap::<(bool, u32), u64>::new();
        for (index, worker) in self.workers.iter().enumerate() {
            add(&mut report.traffic, &worker.traffic);
            let peak = peaks.entry((index < self.greeters, worker.number)).or_default();
            *peak = worker.peak_bytes.max(*peak);
        }
        let all = |greet: bool| -> u64 {
            peaks.iter().filter(|((it, _), _)| *it == greet).map(|(_, peak)| peak).sum()
        };
        report.peak_bytes += all(true).max(all(false));
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The parts that the first worker cut.
struct Shared(Arc<Store>);

impl Prepare for Shared {
    fn prepare(
        &mut self,
        _visitor: &mut Visitor<'_>,
        _agreed: &Agreed,
        _finished: &[bool],
    ) -> Result<Option<Arc<Store>>, Failure> {
        Ok(Some(Arc::clone(&self.0)))
    }
}

/// A worker, in its jail.
pub struct Worker {
    order: Order,
    key: Option<Seed>,
    number: u32,
    connector: Connector,
    jail: tidm_jail::Report,
}

impl Worker {
    /// From what came first on its stdin. With one thread only.
    pub fn new(line: &str, host: &Host) -> Result<Self, Failure> {
        let start: Start =
            serde_json::from_str(line).map_err(|why| Failure::Order(why.to_string()))?;
        let Start { order, key, number } = start;
        let wrong = || Failure::Order("the key is 64 hexadecimal digits".to_owned());
        let key = key.map(Zeroizing::new).map(|key| {
            unhex(&key).and_then(|key| key.try_into().ok()).map(Seed::new).ok_or_else(wrong)
        });
        let key = key.transpose()?;
        order.check()?;
        let mut connector = Connector::open(&order.connect).map_err(|why| lost(&why))?;
        let jail = super::jail::enter(&order, host, &mut connector)?;
        Ok(Self { order, key, number, connector, jail })
    }

    /// Its whole life.
    pub fn work(self, tell: &Tell) -> Result<(), Failure> {
        let Self { order, key, number, mut connector, jail } = self;
        work(&order, (key, number), &mut connector, (tell, jail))
    }
}

fn work(
    order: &Order,
    (key, number): (Option<Seed>, u32),
    connector: &mut Connector,
    (tell, jail): (&Tell, tidm_jail::Report),
) -> Result<(), Failure> {
    // What moved is told with every step of progress, so that a worker's death takes little of it away.
    let progress = Progress::new(Arc::clone(tell), Arc::new(AtomicBool::new(false)));
    let job = order.job()?;
    let journal = Journal::open(&order.dir, digest(&job), order.journal.as_ref())?;
    let mut visitor = Visitor { order, job, journal, progress: &progress, number };
    let Some(key) = key else {
        let greeted = greet(&mut visitor, connector, jail)?;
        progress.event(&Event::Moved { traffic: progress.traffic(), peak_bytes: peak_bytes() });
        tell(&Event::Cut(greeted));
        return Ok(());
    };
    let store = Store::Disk { dir: order.dir.clone(), key };
    let confirmed = serve(&mut visitor, connector, &mut Shared(Arc::new(store)))?;
    progress.event(&Event::Moved { traffic: progress.traffic(), peak_bytes: peak_bytes() });
    if !confirmed {
        return Err(lost(&std::io::Error::other("the peer did not say that it has everything")));
    }
    tell(&Event::Ended);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::progress::UNKNOWN;
    use super::*;

    #[test]
    fn a_worker_that_says_more_than_steps_move_ends_the_job() {
        let order = serde_json::json!({
            "role": "receiver", "job": "0a".repeat(32),
            "terms": { "security": "semi-honest", "learns": "receiver", "receiver_items": 9, "sender_items": 9 },
            "rule": { "parts": [{ "role": "id", "form": "text" }], "equals": "first" },
            "mapping": { "id": "number" }, "source": { "path": "a.csv", "format": "csv" },
            "dir": "jobs/1", "connect": { "dial": "unix:peer.sock" }, "workers": 2,
        });
        let order = Order::of_json(&order.to_string()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&told);
        let tell: Tell = Arc::new(move |event| {
            if let Event::Moved { traffic, peak_bytes } = event {
                all.lock().unwrap().push((traffic.clone(), *peak_bytes));
            }
        });
        let progress = Progress::new(tell, Arc::default());
        let host = Host::default();
        let connector = Connector::open(&order.connect).unwrap();
        let mut crew = Crew::new(&order, &host, &progress, &connector).unwrap();
        for number in 0..2 {
            crew.workers.push(Started::new(Command::new("/bin/true").spawn().unwrap(), number));
        }
        let of = |kinds: &[&str]| -> Traffic {
            kinds.iter().map(|it| ((*it).to_owned(), Moved { sent: 2, received: 1 })).collect()
        };
        crew.moved(0, of(&["okvs"]), 5).unwrap();
        let untrue = crew.moved(1, of(&["okvs", "made up", "the same"]), u64::MAX).unwrap_err();
        assert_eq!(untrue.code(), "job.process-untrue");
        assert_eq!(untrue.report().code, "job.process-untrue");
        // What is told of it is whole, and in few words.
        let (last, peak) = told.lock().unwrap().last().cloned().unwrap();
        let both = Moved { sent: 4, received: 2 };
        let kinds = [("okvs", both), (UNKNOWN, both)];
        assert_eq!(last, kinds.map(|(kind, it)| (kind.to_owned(), it)).into());
        assert_eq!(peak, MAX_MOVED_BYTES);
    }
}
