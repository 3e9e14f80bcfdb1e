//! Servers that tests talk to, started as processes of our own on loopback ports and stopped when dropped.
//!
//! They live in a temporary folder and die with us (parent-death signal), also when we are killed.

pub(crate) mod postgres;
pub(crate) mod s3;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{self, Call};

/// A server answers within this or something is wrong: PostgreSQL takes 1–3 s on a busy machine of two cores.
const START_LIMIT: Duration = Duration::from_secs(60);
/// After the polite signal a server gets this long before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// A port found free may be taken before the server binds it; so a start is tried again this often.
pub(crate) const START_TRIES: usize = 3;
const POLL: Duration = Duration::from_millis(50);

/// A running server process.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `call` with its output in `log`. The call must lead to one process that stays in the foreground.
    pub(crate) fn start(name: &'static str, call: &Call, log: &Path) -> Result<Self> {
        let output = shell::open_log(log)?;
        let errors: File = output.try_clone()?;
        let mut command: Command = call.command();
        let child = command.stdout(output).stderr(errors).stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("starting {name}: `{}`", call.shown()))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Waits until `ready` says so; fails when the process ends before or time runs out.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while starting ({status}):\n{}", self.name, self.log_tail());
            }
            if ready() {
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                let seconds = START_LIMIT.as_secs();
                bail!("{} did not answer within {seconds} s:\n{}", self.name, self.log_tail());
            }
            sleep(POLL);
        }
    }

    fn log_tail(&self) -> String {
        shell::tail(&std::fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // SIGINT is PostgreSQL's "fast shutdown" and ends the others at once.
        let asked = Call::new("kill").args(["-INT", &pid]).text().is_ok();
        let started = Instant::now();
        while asked && started.elapsed() < STOP_LIMIT {
            match self.child.try_wait() {
                Ok(None) => sleep(POLL),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // Nothing can be done in a destructor about a process that will not die; say so.
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            eprintln!("xtask: {} (process {pid}) could not be stopped", self.name);
        }
    }
}

/// A folder that is removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tidm-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("xtask: {} stays behind: {error}", self.0.display());
        }
    }
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether somebody accepts connections there.
pub(crate) fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_dies_is_reported_with_its_log() {
        let scratch = Scratch::new("server-test").unwrap();
        let log = scratch.path().join("log");
        let call = Call::new("sh").args(["-c", "echo no config; exit 1"]);
        let mut server = Server::start("toy", &call, &log).unwrap();
        let error = server.wait_until(|| false).unwrap_err().to_string();
        assert!(error.contains("no config"), "{error}");
    }

    #[test]
    fn dropping_a_server_ends_it() {
        let scratch = Scratch::new("server-test").unwrap();
        let call = Call::new("sleep").arg("600");
        let server = Server::start("toy", &call, &scratch.path().join("log")).unwrap();
        let pid = server.child.id();
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_scratch_folder_goes_with_its_owner() {
        let scratch = Scratch::new("scratch-test").unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
