//! Connections that notice a dead peer: a heartbeat when nothing was said for a while, a fault when nothing was heard.
//!
//! There is no other time-out: a peer may work on its list for hours as long as its heart beats, without reading what we say.
//! Therefore no `TCP_USER_TIMEOUT`: Linux ends a connection with it whose peer reads nothing for so long, however alive it is. While
//! we say a message, the heart reads what comes of the peer into an inbox. A peer that only beats is stopped by whoever
//! ordered the job. Confidentiality and the peer's identity are the connection's, not ours.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use tidm_mpc::channel::{GIVE_UP, HEARTBEAT};

use super::limits::{BEAT, INBOX_BYTES, LOOK_AT_STOP};

/// A connection to the peer, or to somebody who passes on what is said.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! each {
    ($socket:expr, $it:ident => $do:expr) => {
        match $socket {
            Socket::Tcp($it) => $do,
            Socket::Unix($it) => $do,
        }
    };
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(it) => Self::Tcp(it.try_clone()?),
            Self::Unix(it) => Self::Unix(it.try_clone()?),
        })
    }

    fn shutdown(&self, how: Shutdown) {
        // One that is closed already has nothing to say about it.
        drop(each!(self, it => it.shutdown(how)));
    }

    fn prepare(&self, silence: Duration) -> io::Result<()> {
        each!(self, it => it.set_read_timeout(Some(silence)))?;
        if let Self::Tcp(it) = self {
            it.set_nodelay(true)?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, it => (&*it).write(bytes))
    }

    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        each!(self, it => (&*it).read(bytes))
    }

    /// What is there already.
    fn read_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(each!(self, it => recv(it, bytes, RecvFlags::DONTWAIT))?.0)
    }
}

/// One end of a connection, for `tidm_mpc::channel::stream::Framed`, which flushes behind each message.
#[derive(Debug)]
pub struct Link {
    socket: Socket,
    out: Arc<Out>,
    silence: Duration,
    heart: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Out {
    socket: Socket,
    state: Mutex<State>,
    wake: Condvar,
    /// Locked for moments only, unlike the state: reading never waits for a heartbeat that nobody takes.
    inbox: Mutex<Inbox>,
}

/// What came while a message was being said.
#[derive(Debug)]
struct Inbox {
    bytes: VecDeque<u8>,
    /// Since when nothing has come.
    heard: Instant,
    /// Whether that took too long.
    silent: bool,
}

#[derive(Debug)]
struct State {
    /// Between the first byte of a message and its flush: no place for a heartbeat.
    within_message: bool,
    last: Instant,
    closed: bool,
}

impl Link {
    /// `silence` is how long the peer may say nothing at all. `stop` closes the connection, soon after it is set.
    pub fn new(socket: Socket, silence: Duration, stop: Arc<AtomicBool>) -> io::Result<Self> {
        Self::beating(socket, silence, BEAT, stop)
    }

    fn beating(
        socket: Socket,
        silence: Duration,
        beat: Duration,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        socket.prepare(silence)?;
        let state = State { within_message: false, last: Instant::now(), closed: false };
        let inbox = Inbox { bytes: VecDeque::new(), heard: Instant::now(), silent: false };
        let out = Arc::new(Out {
            socket: socket.try_clone()?,
            state: Mutex::new(state),
            wake: Condvar::new(),
            inbox: Mutex::new(inbox),
        });
        let of_heart = Arc::clone(&out);
        let heart = std::thread::Builder::new()
            .name("heart".to_owned())
            .spawn(move || of_heart.beat(beat, silence, &stop))?;
        Ok(Self { socket, out, silence, heart: Some(heart) })
    }

    /// Says that this party gives up, unless the middle of a message is no place for it.
    pub fn give_up(self) {
        let state = self.out.lock();
        let said = !state.within_message && self.socket.write(&GIVE_UP).is_ok();
        drop(state);
        if said {
            self.finish();
        }
    }

    /// Ends a connection over which all was said: waits until the peer has heard it, which a reset would prevent.
    pub fn finish(self) {
        self.socket.shutdown(Shutdown::Write);
        let end = Instant::now() + BEAT;
        let mut rest = [0; 256];
        while Instant::now() < end && matches!(self.socket.read(&mut rest), Ok(1..)) {}
    }
}

impl Out {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what came, for whoever reads next. False if nothing has for `silence`.
    fn listen(&self, silence: Duration) -> bool {
        let mut inbox = self.inbox();
        let mut piece = [0; 4096];
        while inbox.bytes.len() < INBOX_BYTES {
            // An end or a fault is also what the party itself will meet.
            let Ok(count @ 1..) = self.socket.read_now(&mut piece) else { break };
            inbox.bytes.extend(piece.iter().take(count));
            inbox.heard = Instant::now();
        }
        inbox.silent = inbox.heard.elapsed() > silence;
        !inbox.silent
    }

    fn beat(&self, beat: Duration, silence: Duration, stop: &AtomicBool) {
        let mut state = self.lock();
        while !state.closed {
            let lost = state.within_message && !self.listen(silence);
            if lost || stop.load(Ordering::Relaxed) {
                self.socket.shutdown(Shutdown::Both);
                return;
            }
            let rest = beat.saturating_sub(state.last.elapsed());
            if rest.is_zero() && !state.within_message {
                let mut left = HEARTBEAT.as_slice();
                while !left.is_empty() {
                    match self.socket.write(left) {
                        Ok(count) => left = left.get(count..).unwrap_or_default(),
                        Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                        // The party itself will meet the same end.
                        Err(_) => return,
                    }
                }
                state.last = Instant::now();
                continue;
            }
            // Within a message that nobody takes there is nothing to do but to look again.
            let pause = if rest.is_zero() { beat } else { rest }.min(LOOK_AT_STOP);
            state = self.wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn unheard(silence: Duration) -> io::Error {
    let text = format!("nothing was heard of the peer for {} s", silence.as_secs_f64());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl Read for Link {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut inbox = self.out.inbox();
        if !inbox.bytes.is_empty() {
            return inbox.bytes.read(bytes);
        }
        drop(inbox);
        self.socket.read(bytes).map_err(|why| {
            let silent = matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
            if silent { unheard(self.silence) } else { why }
        })
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.out.lock();
        if !state.within_message {
            state.within_message = true;
            self.out.inbox().heard = Instant::now();
        }
        drop(state);
        let silent = || self.out.inbox().silent;
        self.out
            .socket
            .write(bytes)
            .map_err(|why| if silent() { unheard(self.silence) } else { why })
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.out.lock();
        state.within_message = false;
        state.last = Instant::now();
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // First, as a heartbeat that nobody takes would hold the lock.
        self.socket.shutdown(Shutdown::Both);
        self.out.lock().closed = true;
        self.out.wake.notify_all();
        if let Some(heart) = self.heart.take() {
            drop(heart.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use tidm_mpc::channel::Channel as _;
    use tidm_mpc::channel::stream::Framed;
    use tidm_mpc::step::Step;

    use super::*;

    const BEAT: Duration = Duration::from_millis(20);
    const SILENCE: Duration = Duration::from_millis(200);

    fn pair() -> (Socket, Socket) {
        let (one, other) = UnixStream::pair().unwrap();
        (Socket::Unix(one), Socket::Unix(other))
    }

    fn framed(socket: Socket) -> Framed<Link> {
        stopping(socket, &Arc::default())
    }

    fn stopping(socket: Socket, stop: &Arc<AtomicBool>) -> Framed<Link> {
        Framed::new(Link::beating(socket, SILENCE, BEAT, Arc::clone(stop)).unwrap())
    }

    #[test]
    fn a_party_that_is_stopped_waits_for_nobody() {
        let ((one, other), stop) = (pair(), Arc::default());
        let (mut one, mut other) = (stopping(one, &stop), framed(other));
        let waiting = std::thread::spawn(move || one.receive(Step::Trees, 10).unwrap_err());
        stop.store(true, Ordering::Relaxed);
        assert_eq!(waiting.join().unwrap().code(), "mpc.connection-lost");
        assert_eq!(other.receive(Step::Trees, 10).unwrap_err().code(), "mpc.connection-lost");
    }

    #[test]
    fn a_peer_may_work_for_long_as_long_as_its_heart_beats() {
        let (one, other) = pair();
        let (mut one, mut other) = (framed(one), framed(other));
        let working = std::thread::spawn(move || {
            sleep(3 * SILENCE);
            // Larger than any buffer, so that the heart meets a message that nobody takes.
            other.send(Step::Okvs, &vec![7; 8 << 20]).unwrap();
            other.receive(Step::Masks, 1).unwrap();
            other.into_inner().finish();
        });
        assert_eq!(one.receive(Step::Okvs, 8 << 20).unwrap(), vec![7; 8 << 20]);
        sleep(3 * SILENCE);
        one.send(Step::Masks, &[1]).unwrap();
        working.join().unwrap();
    }

    /// More than both ends of a connection hold, said to a peer that beats and reads nothing, over TCP: not lost. A peer that does not
    /// even beat is lost, in the middle of the message.
    #[test]
    fn a_peer_that_beats_may_read_late_and_one_that_is_silent_not() {
        const BYTES: usize = 48 << 20;
        let tcp = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (Socket::Tcp(one), Socket::Tcp(listener.accept().unwrap().0))
        };
        for (one, other) in [tcp(), pair()] {
            let (mut one, mut other) = (framed(one), framed(other));
            let late = std::thread::spawn(move || {
                sleep(12 * SILENCE);
                let found = other.receive(Step::Okvs, BYTES).unwrap();
                other.send(Step::Masks, &[1]).unwrap();
                (found.len(), other)
            });
            one.send(Step::Okvs, &vec![7; BYTES]).unwrap();
            assert_eq!(one.receive(Step::Masks, 1).unwrap(), [1]);
            assert_eq!(late.join().unwrap().0, BYTES);
        }
        for (one, other) in [tcp(), pair()] {
            let fault = framed(one).send(Step::Okvs, &vec![7; BYTES]).unwrap_err();
            assert_eq!(fault.code(), "mpc.connection-lost");
            assert!(fault.to_string().contains("nothing was heard"), "{fault}");
            drop(other);
        }
    }

    #[test]
    fn a_silent_peer_is_lost_and_the_step_is_named() {
        let (one, _other) = pair();
        let begun = Instant::now();
        let fault = framed(one).receive(Step::Trees, 10).unwrap_err();
        assert!(begun.elapsed() >= SILENCE && begun.elapsed() < 20 * SILENCE);
        let text = fault.to_string();
        assert!(text.contains("trees") && text.contains("nothing was heard"), "{text}");
        assert_eq!(fault.code(), "mpc.connection-lost");
    }

    #[test]
    fn a_peer_that_dies_or_gives_up_is_noticed_at_once() {
        let (one, other) = pair();
        drop(framed(other));
        assert_eq!(framed(one).receive(Step::Trees, 10).unwrap_err().code(), "mpc.connection-lost");
        let (one, other) = pair();
        let (mut one, mut other) = (framed(one), framed(other));
        other.send(Step::Okvs, b"four").unwrap();
        let stopping = std::thread::spawn(move || other.into_inner().give_up());
        assert_eq!(one.receive(Step::Okvs, 4).unwrap(), b"four");
        assert_eq!(one.receive(Step::Okvs, 4).unwrap_err().code(), "mpc.peer-stopped");
        drop(one);
        stopping.join().unwrap();
    }
}
