//! Dials for a process in a jail: one address, fixed before the jail was entered, as often as it is asked.
//!
//! ```text
//!   process in its jail   ── one byte: dial ──►   this one   ──►  the peer, or the node that carries on
//!                         ◄── the connection, or why there is none ──
//! ```
//!
//! Threat model: who asks may be anybody's. It is heard for a byte at a time whose value says nothing, and gets connections to the
//! one address that its order named, as an honest process does. This one reads nothing of any peer, so it needs no jail; it ends
//! when who asks is gone. Never dials anything else, never passes anything but a connection on.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use super::connect::Address;
use super::failure::Failure;
use super::limits::MAX_CALL_BYTES;
use super::link::Socket;
use super::workers::Host;

const DIAL: [u8; 1] = [b'd'];
const HERE: [u8; 1] = [b'c'];

/// The other end of a caller.
#[derive(Debug)]
pub struct Caller {
    /// Closed first, so that the caller ends.
    talk: Option<OwnedFd>,
    child: Child,
    unix: bool,
}

impl Caller {
    /// Starts a caller for `address`. Before the jail.
    pub fn hire(host: &Host, address: &Address) -> Result<Self, Failure> {
        let failed = |why: io::Error| Failure::directory("starting a caller")(why);
        // Messages keep their borders.
        let pair = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        );
        let (talk, theirs) = pair.map_err(|why| failed(why.into()))?;
        let mut command = host.command("call")?;
        let child = command.stdin(theirs).stdout(Stdio::null()).spawn().map_err(failed)?;
        rustix::net::send(&talk, address.to_string().as_bytes(), SendFlags::NOSIGNAL)
            .map_err(|why| failed(why.into()))?;
        Ok(Self { talk: Some(talk), child, unix: matches!(address, Address::Unix(_)) })
    }

    /// One connection, tried once.
    pub(super) fn dial(&self) -> io::Result<Socket> {
        let talk = self.talk.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        rustix::net::send(talk, &DIAL, SendFlags::NOSIGNAL)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0; MAX_CALL_BYTES];
        let got = loop {
            let mut into = [IoSliceMut::new(&mut text)];
            match rustix::net::recvmsg(talk, &mut into, &mut rights, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                got => break got?,
            }
        };
        let mut passed = None;
        for message in rights.drain() {
            if let RecvAncillaryMessage::ScmRights(mut rights) = message {
                passed = rights.next();
            }
        }
        match passed {
            Some(fd) if self.unix => Ok(Socket::Unix(fd.into())),
            Some(fd) => Ok(Socket::Tcp(fd.into())),
            None => {
                let why = String::from_utf8_lossy(text.get(..got.bytes).unwrap_or_default());
                Err(io::Error::other(why.into_owned()))
            }
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.talk = None;
        // It ends by itself now, and leaves nothing behind.
        drop(self.child.wait());
    }
}

/// The caller's whole life: its stdin is the socket to who asks.
pub(super) fn main() -> Result<(), Failure> {
    let wrong = |why: &str| Failure::Order(why.to_owned());
    let talk = io::stdin().as_fd().try_clone_to_owned();
    let talk = talk.map_err(|why| wrong(&why.to_string()))?;
    let mut text = [0; MAX_CALL_BYTES];
    let address = heard(&talk, &mut text).map_err(|why| wrong(&why.to_string()))?;
    let address = std::str::from_utf8(address).map_err(|_| wrong("an address is text"))?;
    let address: Address = address.parse().map_err(|why: String| wrong(&why))?;
    // An error is the end of who asks.
    let mut ask = [0; 1];
    while heard(&talk, &mut ask).is_ok_and(|asked| asked == DIAL) {
        let answered = match address.dial() {
            Ok(connection) => pass(&talk, &connection),
            Err(why) => {
                let text: String = why.to_string().chars().take(MAX_CALL_BYTES / 4).collect();
                rustix::net::send(&talk, text.as_bytes(), SendFlags::NOSIGNAL).map(drop)
            }
        };
        if answered.is_err() {
            break;
        }
    }
    Ok(())
}

/// The next message.
fn heard<'t>(talk: &OwnedFd, into: &'t mut [u8]) -> rustix::io::Result<&'t [u8]> {
    loop {
        match rustix::net::recv(talk, &mut *into, RecvFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why),
            Ok((count, _)) => return Ok(into.get(..count).unwrap_or_default()),
        }
    }
}

fn pass(talk: &OwnedFd, connection: &Socket) -> rustix::io::Result<()> {
    let rights = [match connection {
        Socket::Tcp(it) => it.as_fd(),
        Socket::Unix(it) => it.as_fd(),
    }];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&rights));
    rustix::net::sendmsg(talk, &[IoSlice::new(&HERE)], &mut message, SendFlags::NOSIGNAL).map(drop)
}
