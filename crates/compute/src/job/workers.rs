//! Several processes of one party: the first one greets and cuts the list, these run parts.
//!
//! A worker gets the order and the key of the parts through its stdin, which stays open: a worker whose coordinator died reads its
//! end and dies too. One that is killed is replaced; the part it held is free again, as locks die with processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tidm_mpc::fault::Fault;
use tidm_mpc::partition::talk::Agreed;
use tidm_mpc::random::Seed;
use tidm_mpc::session::Watch as _;
use zeroize::Zeroize as _;

use super::connect::{Connector, Way};
use super::failure::{ErrorReport, Failure};
use super::journal::Journal;
use super::limits::{LOOK_AGAIN, REPLACED_PER_WORKER};
use super::order::{Order, Report, hex, unhex};
use super::party::{digest, serve};
use super::progress::{Event, Moved, Progress, Tell, Told, Traffic, add, peak_bytes};
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

/// What a worker reads.
#[derive(Serialize, Deserialize)]
struct Start {
    order: Order,
    key: String,
    number: u32,
}

/// The workers of one party.
pub struct Crew<'a> {
    order: &'a Order,
    host: &'a Host,
    key: [u8; 32],
    way: Way,
    progress: &'a Progress,
    tell: Sender<Heard>,
    heard: Receiver<Heard>,
    workers: Vec<Worker>,
}

/// What the worker of this index said.
type Heard = (usize, Line);

enum Line {
    Event(Box<Event>),
    End,
}

struct Worker {
    child: Child,
    number: u32,
    told: Told,
    traffic: Traffic,
    peak_bytes: u64,
    ended: bool,
    error: Option<ErrorReport>,
}

impl<'a> Crew<'a> {
    pub fn new(
        order: &'a Order,
        host: &'a Host,
        key: [u8; 32],
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
        let (tell, heard) = channel();
        Ok(Self { order, host, key, way, progress, tell, heard, workers: Vec::new() })
    }

    /// Until one worker says that both have everything. False if only this party is sure to have it.
    pub fn run(&mut self, journal: &Journal) -> Result<bool, Failure> {
        let of = journal.state()?.agreed.map_or(0, |agreed| agreed.parts.into());
        self.progress.phase("running", journal.parts_kept()?, Some(of));
        for number in 0..self.order.workers {
            self.start(number)?;
        }
        let result = self.watch(journal);
        for worker in &mut self.workers {
            // One that is gone already is what we want.
            drop(worker.child.kill());
            drop(worker.child.wait());
        }
        result
    }

    fn start(&mut self, number: u32) -> Result<(), Failure> {
        let failed = |why| Failure::directory("starting a worker")(why);
        let mut command = self.host.command("part")?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let order = Order { connect: self.way.clone(), ..self.order.clone() };
        let mut start = Start { order, key: hex(&self.key), number };
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
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Ok(event) = serde_json::from_str(&line) {
                        drop(heard.send((index, Line::Event(Box::new(event)))));
                    }
                }
                drop(heard.send((index, Line::End)));
            });
        }
        self.workers.push(Worker {
            child,
            number,
            told: Told::default(),
            traffic: Traffic::new(),
            peak_bytes: 0,
            ended: false,
            error: None,
        });
        Ok(())
    }

    fn watch(&mut self, journal: &Journal) -> Result<bool, Failure> {
        let own = self.progress.moved_in_all();
        let mut replaced = 0;
        loop {
            let heard = self.heard.recv_timeout(LOOK_AGAIN);
            if self.progress.cancelled() {
                return Err(Fault::Cancelled.into());
            }
            let (index, line) = match heard {
                Ok(heard) => heard,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => continue,
            };
            let Some(worker) = self.workers.get_mut(index) else { continue };
            match line {
                Line::Event(event) => match *event {
                    Event::Progress(told) => {
                        worker.told = told;
                        let sum = |of: fn(&Told) -> u64| -> u64 {
                            self.workers.iter().map(|it| of(&it.told)).sum()
                        };
                        let moved = Moved {
                            sent: own.sent + sum(|it| it.sent),
                            received: own.received + sum(|it| it.received),
                        };
                        // A worker counts parts that others had kept before it came, too.
                        self.progress.of_workers(journal.parts_kept()?, moved);
                    }
                    Event::Moved { traffic, peak_bytes } => {
                        (worker.traffic, worker.peak_bytes) = (traffic, peak_bytes);
                    }
                    Event::Ended => worker.ended = true,
                    Event::Error(error) => worker.error = Some(error),
                    Event::Report(_) => {}
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

    /// What the workers moved, and the largest of them.
    pub fn add_to(&self, report: &mut Report) {
        for worker in &self.workers {
            add(&mut report.traffic, &worker.traffic);
            report.peak_bytes = report.peak_bytes.max(worker.peak_bytes);
        }
    }
}

/// The parts that the coordinator cut.
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

/// A worker's whole life: `line` is what came first on its stdin.
pub fn work(line: &str, tell: &Tell) -> Result<(), Failure> {
    let mut start: Start =
        serde_json::from_str(line).map_err(|why| Failure::Order(why.to_string()))?;
    let key = unhex(&start.key).and_then(|key| key.try_into().ok());
    let key = key.ok_or_else(|| Failure::Order("the key is 64 hexadecimal digits".to_owned()))?;
    start.key.zeroize();
    let order = &start.order;
    order.check()?;
    // What moved is told with every step of progress, so that a worker's death takes little of it away.
    let progress = Progress::with_moved(Arc::clone(tell), Arc::new(AtomicBool::new(false)));
    let job = order.job()?;
    let journal = Journal::open(&order.dir, digest(&job))?;
    let mut connector = Connector::open(&order.connect).map_err(|why| lost(&why))?;
    let store = Store::Disk { dir: order.dir.clone(), key: Seed::new(key) };
    let mut visitor = Visitor { order, job, journal, progress: &progress, number: start.number };
    let confirmed = serve(&mut visitor, &mut connector, &mut Shared(Arc::new(store)))?;
    progress.event(&Event::Moved { traffic: progress.traffic(), peak_bytes: peak_bytes() });
    if !confirmed {
        return Err(lost(&std::io::Error::other("the peer did not say that it has everything")));
    }
    tell(&Event::Ended);
    Ok(())
}
