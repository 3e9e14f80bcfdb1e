//! Where connections to the peer come from. The node hands over streams; tests and `local` use sockets of this machine.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use serde::{Deserialize, Serialize};

use super::call::Caller;
use super::failure::Failure;
use super::limits::{DIAL, LOOK_AT_STOP};
use super::link::Socket;
use super::workers::Host;

/// Gives connections to the peer, one at a time.
pub trait Connect {
    /// A new connection, within `patience`, or a fault soon after `stop` was set.
    fn connect(&mut self, patience: Duration, stop: &AtomicBool) -> io::Result<Socket>;
}

/// How an order says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    Dial(Address),
    Listen(Address),
    /// One connection that is there already, as a descriptor that this process inherited: no second try, one worker.
    Fd(i32),
    /// A listener that this process inherited.
    ListenFd(i32),
}

/// `tcp:HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    Tcp(String),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("tcp", rest)) => Ok(Self::Tcp(rest.to_owned())),
            Some(("unix", rest)) => Ok(Self::Unix(rest.into())),
            _ => Err(format!("{text} is neither tcp:HOST:PORT nor unix:PATH")),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "tcp:{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What comes of a [`Way`].
#[derive(Debug)]
pub enum Connector {
    Dial(Address),
    /// The same from within a jail.
    Call(Caller),
    Listen(Listener),
    Given(Option<Socket>),
}

/// Takes connections; the processes of one party may share it.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Connector {
    pub fn open(way: &Way) -> io::Result<Self> {
        Ok(match way {
            Way::Dial(address) => Self::Dial(address.clone()),
            Way::Listen(address) => Self::Listen(Listener::bind(address)?),
            Way::Fd(number) => {
                let fd = inherited(*number)?;
                Self::Given(Some(if is_unix(&fd)? {
                    Socket::Unix(fd.into())
                } else {
                    Socket::Tcp(fd.into())
                }))
            }
            Way::ListenFd(number) => {
                let fd = inherited(*number)?;
                Self::Listen(if is_unix(&fd)? {
                    Listener::Unix(fd.into())
                } else {
                    Listener::Tcp(fd.into())
                })
            }
        })
    }

    pub fn listener(&self) -> Option<&Listener> {
        match self {
            Self::Listen(listener) => Some(listener),
            Self::Dial(_) | Self::Call(_) | Self::Given(_) => None,
        }
    }

    /// From here on a process of its own dials, if anybody does.
    pub(super) fn hire(&mut self, host: &Host) -> Result<(), Failure> {
        if let Self::Dial(address) = self {
            *self = Self::Call(Caller::hire(host, address)?);
        }
        Ok(())
    }
}

/// A descriptor of this process by its number. `OwnedFd` cannot be made of a number without `unsafe`; asking the kernel
/// for a copy can.
fn inherited(number: i32) -> io::Result<OwnedFd> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(this, number, PidfdGetfdFlags::empty())?)
}

fn is_unix(fd: &OwnedFd) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_domain(fd)? == rustix::net::AddressFamily::UNIX)
}

impl Listener {
    pub fn bind(address: &Address) -> io::Result<Self> {
        let listener = match address {
            Address::Tcp(at) => Self::Tcp(TcpListener::bind(at)?),
            Address::Unix(path) => {
                // One that a killed process left behind.
                match std::fs::remove_file(path) {
                    Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                    _ => Self::Unix(UnixListener::bind(path)?),
                }
            }
        };
        match &listener {
            Self::Tcp(it) => it.set_nonblocking(true)?,
            Self::Unix(it) => it.set_nonblocking(true)?,
        }
        Ok(listener)
    }

    /// Where it is to be dialled.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(it) => Ok(Address::Tcp(it.local_addr()?.to_string())),
            Self::Unix(it) => {
                let at = it.local_addr()?;
                let path = at.as_pathname().ok_or_else(|| io::Error::other("it has no path"))?;
                Ok(Address::Unix(path.to_owned()))
            }
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(it) => it.as_fd(),
            Self::Unix(it) => it.as_fd(),
        }
    }

    fn accept(&self, patience: Duration, stop: &AtomicBool) -> io::Result<Socket> {
        let end = Instant::now() + patience;
        loop {
            let taken = match self {
                Self::Tcp(it) => it.accept().map(|(it, _)| Socket::Tcp(it)),
                Self::Unix(it) => it.accept().map(|(it, _)| Socket::Unix(it)),
            };
            match taken {
                // Another process took it, or it is gone again.
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) if why.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer did not call"));
            }
            if stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            let wait = rustix::event::Timespec::try_from(left.min(LOOK_AT_STOP));
            let wait = wait.map_err(io::Error::other)?;
            let fd = self.fd();
            match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the job is to stop")
}

/// One try at every address that the name has.
fn dial(at: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in at.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DIAL) {
            Ok(stream) => return Ok(stream),
            Err(why) => last = why,
        }
    }
    Err(last)
}

impl Connect for Connector {
    fn connect(&mut self, patience: Duration, stop: &AtomicBool) -> io::Result<Socket> {
        match self {
            Self::Listen(listener) => listener.accept(patience, stop),
            Self::Given(socket) => socket.take().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotConnected, "the one connection is used up")
            }),
            Self::Dial(address) => again(patience, stop, || address.dial()),
            Self::Call(caller) => again(patience, stop, || caller.dial()),
        }
    }
}

impl Address {
    /// One try.
    pub(super) fn dial(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(at) => dial(at).map(Socket::Tcp),
            Self::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
        }
    }
}

/// Dials until somebody answers.
fn again(
    patience: Duration,
    stop: &AtomicBool,
    dial: impl Fn() -> io::Result<Socket>,
) -> io::Result<Socket> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(2);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        match dial() {
            Ok(socket) => return Ok(socket),
            Err(why) if Instant::now() + pause >= end => return Err(why),
            // The peer may not be there yet.
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Neither waiting for a call nor calling in vain outlives the wish to stop.
    #[test]
    fn a_party_that_is_to_stop_waits_for_no_connection() {
        let dir = tempfile::tempdir().unwrap();
        let nobody = Address::Unix(dir.path().join("nobody"));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        for way in [
            Way::Listen(Address::Tcp("127.0.0.1:0".to_owned())),
            Way::Dial(nobody),
            Way::Dial(Address::Tcp(free)),
        ] {
            let stop = Arc::new(AtomicBool::new(false));
            let asked = Arc::clone(&stop);
            let begun = Instant::now();
            let waiting = std::thread::spawn(move || {
                Connector::open(&way).unwrap().connect(Duration::from_secs(600), &asked)
            });
            std::thread::sleep(Duration::from_millis(50));
            stop.store(true, Ordering::Relaxed);
            waiting.join().unwrap().unwrap_err();
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
    }
}
