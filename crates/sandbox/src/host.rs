//! The host side: starts a worker, hands it descriptors, waits, and kills it.
//!
//! A worker is hostile from its first byte on: every frame is bounded, every wait has an end, and
//! dropping the future kills the process (its whole group) at once.
//!
//! **Architecture invariant:** nothing of the host's environment reaches a worker, no descriptor
//! except the ones named in the job, and no key except one wrapped to that worker's own key.

use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{Pid, Signal};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::frame::{self, FrameError, HEADER_BYTES, Kind};
use crate::gate::Rules;
use crate::jail::{Layer, Report};
use crate::job::{Bounds, Hello, Request, Summary, TableKey, TableRequest};
use crate::limits::{
    CPU_SLACK_SECONDS, HELLO_TIMEOUT, MAX_DEADLINE, MAX_FILES, MAX_TABLES, MAX_THREADS, SPARE_FILES,
};
use crate::refusal::Refusal;

/// A worker keeps what it freed: it lives for one use, and pages that are opened again and again for each piece of a sealed
/// table cost more than its decryption (glibc's names; 32 MiB is the most it takes as a threshold).
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "536870912"),
    ("MALLOC_TOP_PAD_", "4194304"),
];

/// One use: a statement over tables.
#[derive(Debug)]
pub struct Job {
    /// One `SELECT`.
    pub sql: String,
    /// What it may read.
    pub tables: Vec<Table>,
}

/// One table of a job.
#[derive(Debug)]
pub struct Table {
    /// Name in the statement, lower case.
    pub name: String,
    /// Parquet files, opened read-only.
    pub files: Vec<File>,
    /// The contract's terms.
    pub rules: Rules,
    /// For sealed files: the AAD prefix their contract fixes.
    pub aad_prefix: Option<Vec<u8>>,
}

/// What one use may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wall-clock time from start to answer; the worker is killed then.
    pub deadline: Duration,
    /// Memory for the query in bytes.
    pub memory_bytes: u64,
    /// Threads and partitions; 0: as many as the machine has.
    pub threads: usize,
    /// Most result rows.
    pub max_rows: u64,
    /// Most result bytes.
    pub max_bytes: u64,
    /// Layers without which nothing runs.
    pub require: Vec<Layer>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            memory_bytes: 2 * 1024 * 1024 * 1024,
            threads: 0,
            max_rows: 1_000_000,
            max_bytes: 256 * 1024 * 1024,
            require: vec![Layer::Rlimits, Layer::Undumpable, Layer::NoNewPrivs, Layer::Seccomp],
        }
    }
}

/// A finished use.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Result rows.
    pub rows: u64,
    /// The result as an Arrow IPC stream.
    pub ipc: Vec<u8>,
    /// The jail it ran in.
    pub jail: Report,
    /// Wall-clock time from start to answer.
    pub took: Duration,
}

/// The key exchange said no.
#[derive(Debug, Error)]
#[error("no key: {0}")]
pub struct KeyDenied(pub String);

/// Why a use has no result.
#[derive(Debug, Error)]
pub enum Failure {
    /// The statement or its result was refused; fit to be shown to the asker.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The job itself does not fit the sandbox's bounds.
    #[error("the job is not acceptable: {0}")]
    Job(String),
    /// A required layer of the jail is not available on this machine.
    #[error("the jail lacks {layer:?}: {reason}; allow it on this machine or do not require it")]
    Jail {
        /// The missing layer.
        layer: Layer,
        /// What the kernel said.
        reason: String,
    },
    /// The key exchange said no.
    #[error(transparent)]
    Key(#[from] KeyDenied),
    /// Killed at its deadline.
    #[error("killed at its deadline of {0:?}")]
    Deadline(Duration),
    /// Killed because its answer exceeded the caps.
    #[error("the answer exceeded its caps: {0}")]
    Output(FrameError),
    /// The worker ended without an answer: out of memory, killed by its jail, or broken.
    #[error("the worker ended without an answer ({0})")]
    Ended(String),
    /// The worker said something that is no answer.
    #[error("the worker broke the protocol")]
    Protocol,
    /// The worker could not be started or spoken to.
    #[error("the worker could not be run: {0}")]
    Io(#[from] std::io::Error),
}

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Worker {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Worker {
    /// A worker is `program arguments…`, which must call [`crate::worker::main`].
    pub fn new(program: impl Into<PathBuf>, arguments: Vec<OsString>) -> Self {
        Self { program: program.into(), arguments }
    }

    /// What is started.
    pub fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// This very program under its hidden command `worker`.
    ///
    /// # Errors
    /// When the running program's path cannot be found.
    pub fn current() -> std::io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?, vec!["worker".into()]))
    }

    /// Runs one job in a worker of its own.
    ///
    /// `keys` is called once the jail is on, and only when a table is sealed; it returns each
    /// sealed table's data key wrapped to [`Hello::public_key`]. Dropping the future kills.
    ///
    /// # Errors
    /// See [`Failure`]; only [`Failure::Refused`] is meant for the asker.
    pub async fn run<K, F>(&self, job: Job, limits: Limits, keys: K) -> Result<Outcome, Failure>
    where
        K: FnOnce(Hello) -> F,
        F: Future<Output = Result<Vec<TableKey>, KeyDenied>>,
    {
        let started = Instant::now();
        let deadline = limits.deadline.min(MAX_DEADLINE);
        let mut running = Running::start(self, job, &limits)?;
        let answer =
            tokio::time::timeout(deadline, Box::pin(running.converse(&limits, keys))).await;
        let (jail, summary, ipc) = match answer {
            Err(_elapsed) => return Err(Failure::Deadline(deadline)),
            Ok(Err(Failure::Io(error))) if hung_up(&error) => {
                return Err(Failure::Ended(running.ending().await));
            }
            Ok(answer) => answer?,
        };
        Ok(Outcome { rows: summary.rows, ipc, jail, took: started.elapsed() })
    }
}

/// Whether the other end went away.
fn hung_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}

/// A living worker; dropping it kills its process group.
struct Running {
    child: Child,
    group: Option<Pid>,
    host: UnixStream,
    answers: ChildStdout,
    sealed: bool,
    /// The job description, still to be written.
    job: Vec<u8>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only while not reaped: afterwards the number may belong to somebody else.
        if self.child.id().is_some()
            && let Some(group) = self.group
        {
            // An error means there is no such group any more.
            let _gone = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Running {
    fn start(worker: &Worker, job: Job, limits: &Limits) -> Result<Self, Failure> {
        let (request, files) = described(job, limits)?;
        let sealed = request.tables.iter().any(|table| table.aad_prefix.is_some());
        let payload =
            serde_json::to_vec(&request).map_err(|error| Failure::Job(error.to_string()))?;

        let (host, theirs) = StdUnixStream::pair()?;
        let mut child = Command::new(&worker.program)
            .args(&worker.arguments)
            .env_clear()
            .envs(ALLOCATOR)
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let answers = child.stdout.take().ok_or(Failure::Protocol)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // From here on the child is killed whatever happens.
        host.set_nonblocking(true)?;
        send_header(&host, payload.len(), &files)?;
        let host = UnixStream::from_std(host)?;
        Ok(Self { child, group, host, answers, sealed, job: payload })
    }

    async fn converse<K, F>(
        &mut self,
        limits: &Limits,
        keys: K,
    ) -> Result<(Report, Summary, Vec<u8>), Failure>
    where
        K: FnOnce(Hello) -> F,
        F: Future<Output = Result<Vec<TableKey>, KeyDenied>>,
    {
        let job = std::mem::take(&mut self.job);
        self.host.write_all(&job).await?;
        let hello = tokio::time::timeout(HELLO_TIMEOUT, self.receive(limits.max_bytes)).await;
        let hello = match hello {
            Ok(frame) => match frame? {
                (Kind::Hello, payload) => payload,
                _ => return Err(Failure::Protocol),
            },
            Err(_elapsed) => return Err(Failure::Deadline(HELLO_TIMEOUT)),
        };
        let hello: Hello = serde_json::from_slice(&hello).map_err(|_| Failure::Protocol)?;
        if let Some((layer, reason)) = hello.jail.missing(&limits.require) {
            return Err(Failure::Jail { layer, reason });
        }
        let jail = hello.jail.clone();
        if self.sealed {
            let keys = serde_json::to_vec(&keys(hello).await?).map_err(|_| Failure::Protocol)?;
            let header = frame::header(Kind::Keys, keys.len()).map_err(|_| Failure::Protocol)?;
            self.host.write_all(&header).await?;
            self.host.write_all(&keys).await?;
        }
        match self.receive(limits.max_bytes).await? {
            (Kind::Result, payload) => {
                let (summary, ipc) = frame::parse_result(payload).map_err(|_| Failure::Protocol)?;
                if summary.rows > limits.max_rows {
                    return Err(Failure::Protocol);
                }
                Ok((jail, summary, ipc))
            }
            (Kind::Refused, payload) => {
                let refusal: Refusal =
                    serde_json::from_slice(&payload).map_err(|_| Failure::Protocol)?;
                // Cut again: the bound is ours to keep, not the worker's.
                Err(Failure::Refused(Refusal::new(refusal.code, refusal.construct)))
            }
            (Kind::Failed, _) => Err(Failure::Ended("reported by the worker".to_owned())),
            (Kind::Hello | Kind::Job | Kind::Keys, _) => Err(Failure::Protocol),
        }
    }

    async fn receive(&mut self, result_bytes: u64) -> Result<(Kind, Vec<u8>), Failure> {
        let mut header = [0; HEADER_BYTES];
        self.answers.read_exact(&mut header).await?;
        let (kind, length) =
            frame::parse_header(header, result_bytes).map_err(|error| match error {
                FrameError::TooLong { kind: Kind::Result, .. } => Failure::Output(error),
                FrameError::TooLong { .. }
                | FrameError::Kind(_)
                | FrameError::Short
                | FrameError::Json => Failure::Protocol,
            })?;
        // Grows with what arrives: an announced length is not yet an allocation.
        let mut payload = Vec::new();
        (&mut self.answers).take(length as u64).read_to_end(&mut payload).await?;
        if payload.len() < length {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok((kind, payload))
    }

    /// How a worker that closed its pipe ended.
    async fn ending(&mut self) -> String {
        match tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(_)) | Err(_) => "still running".to_owned(),
        }
    }
}

/// The job as the worker reads it, and the descriptors in the same order.
fn described(job: Job, limits: &Limits) -> Result<(Request, Vec<File>), Failure> {
    let refuse = |text: &str| Err(Failure::Job(text.to_owned()));
    if job.tables.is_empty() || job.tables.len() > MAX_TABLES {
        return refuse("a job has between one table and the limit");
    }
    let mut files = Vec::new();
    let mut tables = Vec::with_capacity(job.tables.len());
    for table in job.tables {
        if table.files.is_empty() {
            return refuse("a table has at least one file");
        }
        if tables.iter().any(|other: &TableRequest| other.name == table.name) {
            return refuse("two tables have the same name");
        }
        for file in &table.files {
            let mode = rustix::fs::fcntl_getfl(file).map_err(std::io::Error::from)?;
            if mode.intersection(OFlags::RWMODE) != OFlags::RDONLY {
                return refuse("a file is not opened read-only");
            }
        }
        tables.push(TableRequest {
            name: table.name,
            files: table.files.len(),
            rules: table.rules,
            aad_prefix: table.aad_prefix,
        });
        files.extend(table.files);
    }
    if files.len() > MAX_FILES {
        return refuse("too many files");
    }
    let threads = match limits.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        wanted => wanted,
    };
    let threads = threads.min(MAX_THREADS);
    let seconds = limits.deadline.min(MAX_DEADLINE).as_secs().saturating_add(CPU_SLACK_SECONDS);
    let bounds = Bounds {
        memory_bytes: limits.memory_bytes,
        threads,
        cpu_seconds: seconds.saturating_mul(threads as u64),
        files: SPARE_FILES.saturating_add(files.len() as u64),
        max_rows: limits.max_rows,
        max_bytes: limits.max_bytes,
    };
    Ok((Request { sql: job.sql, tables, bounds }, files))
}

/// Sends the job's header; the descriptors travel with it (SCM_RIGHTS), so that no other process
/// started meanwhile can inherit them.
fn send_header(host: &StdUnixStream, payload: usize, files: &[File]) -> Result<(), Failure> {
    let header = frame::header(Kind::Job, payload)
        .and_then(|header| frame::parse_header(header, 0).map(|_| header))
        .map_err(|error| Failure::Job(error.to_string()))?;
    let rights: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&rights)) {
        return Err(Failure::Job("too many files".to_owned()));
    }
    let sent =
        rustix::net::sendmsg(host, &[IoSlice::new(&header)], &mut ancillary, SendFlags::NOSIGNAL)
            .map_err(std::io::Error::from)?;
    if sent != header.len() { Err(Failure::Protocol) } else { Ok(()) }
}
