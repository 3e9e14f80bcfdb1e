//! The link: messages with names between two parties, as spu carries them, over gRPC on plain HTTP/2.
//!
//! Each party is server and client: what one says is a request to the other. The inside is a thread with a runtime; the
//! outside blocks. Every wait ends: with the message, with the first fault anywhere, with a wish to stop, or when nothing
//! at all came for too long.
//!
//! **Connecting.** spu 0.9.5 connects twice, sends a connect message each time and waits for one of ours. A second message of
//! ours that comes before it has read the first is confirmed and thrown away, and spu then waits without end. So we answer
//! each of its connect messages with one of ours: the answer to its second comes after it has read the answer to its
//! first. A lost one is said again every second until its first real message.

mod client;
#[cfg(test)]
pub(super) mod memory;
mod server;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender, unbounded_channel};

use super::fault::{Fault, Step};
use super::limits::{ANSWERS_WINDOW, BODIES_AT_A_TIME, CLOSE_TIME, MOST_ANSWERED_CONNECTS, WINDOW};
use super::progress::Progress;
use super::traffic::{Came, Traffic};
use super::wire::PushRequest;

/// How long a wait sleeps before it looks for a wish to stop.
const LOOK: Duration = Duration::from_millis(100);

/// One end. All calls may block; several threads may use it.
pub trait Link: Sync {
    /// Ours: 0 or 1.
    fn rank(&self) -> u64;
    /// Says something; waits while too much is unconfirmed.
    fn send(&self, step: Step, name: &str, value: Vec<u8>) -> Result<(), Fault>;
    /// Says an answer, which must not wait for messages of our own.
    fn answer(&self, step: Step, name: &str, value: Vec<u8>) -> Result<(), Fault>;
    fn receive(&self, step: Step, name: &str) -> Result<Bytes, Fault>;
    /// Ends every wait with this fault, if none was first.
    fn fail(&self, fault: &Fault);
    fn progress(&self) -> &Progress;
}

/// Where to listen, whom to talk to, and how long to wait.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Host and port.
    pub peer: String,
    /// Ours, or what the peer's first message makes it.
    pub rank: Option<u64>,
    /// How long the peer may take to appear.
    pub connect_time: Duration,
    /// How long the peer may be silent after that: well above 5 s, as often as a working spu says so.
    pub silence: Duration,
}

enum Outgoing {
    Connect,
    Confirm(u64),
    Farewell(u64),
    Message(String, Vec<u8>),
}

struct State {
    traffic: Traffic,
    fault: Option<Fault>,
    heard: Instant,
    closing: bool,
}

struct Inside {
    state: Mutex<State>,
    changed: Condvar,
    progress: Arc<Progress>,
    settings: Settings,
    /// Places for requests that are being read.
    bodies: Semaphore,
}

impl Inside {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, fault: &Fault) {
        self.lock().fault.get_or_insert_with(|| fault.clone());
        self.changed.notify_all();
    }

    /// One request of the peer: whether it was taken. What it makes us owe goes into the outbox.
    fn admit(
        &self,
        request: PushRequest,
        outbox: &WeakUnboundedSender<Outgoing>,
    ) -> Result<bool, Fault> {
        let mut state = self.lock();
        let came = state.traffic.admit(request)?;
        if came != Came::Connect {
            // Connecting again and again is no sign of a session.
            state.heard = Instant::now();
        }
        let answers = state.traffic.connects() <= MOST_ANSWERED_CONNECTS;
        drop(state);
        let owed = match came {
            Came::Connect if answers => Some(Outgoing::Connect),
            Came::Unwanted(number) => Some(Outgoing::Confirm(number)),
            Came::Early => return Ok(false),
            Came::Connect | Came::Message | Came::Confirmed | Came::Farewell | Came::Nothing => {
                None
            }
        };
        // An outbox that is gone means that the session has ended.
        if let (Some(owed), Some(outbox)) = (owed, outbox.upgrade()) {
            outbox.send(owed).unwrap_or_default();
        }
        self.changed.notify_all();
        Ok(true)
    }

    /// Waits until `look` finds something, for as long as the peer is heard at least every `patience`.
    fn wait<T>(
        &self,
        patience: Duration,
        late: impl Fn(u64) -> Fault,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, Fault> {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            if let Some(fault) = &state.fault {
                return Err(fault.clone());
            }
            self.progress.go_on()?;
            if let Some(found) = look(&mut state) {
                return Ok(found);
            }
            if state.heard.max(began).elapsed() > patience {
                return Err(late(patience.as_secs()));
            }
            state = self
                .changed
                .wait_timeout(state, LOOK)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }
}

/// A link over gRPC.
pub struct Grpc {
    inside: Arc<Inside>,
    rank: u64,
    outbox: Option<UnboundedSender<Outgoing>>,
    thread: Option<JoinHandle<()>>,
}

impl Grpc {
    /// Listens, and waits until the peer is there.
    pub fn open(settings: Settings, progress: Arc<Progress>) -> Result<Self, Fault> {
        let listening = |error| Fault::local(format!("listening on {}", settings.listen), error);
        let listener = TcpListener::bind(settings.listen).map_err(listening)?;
        Self::over(listener, settings.clone(), progress)
    }

    /// The same on a socket that listens already.
    pub fn over(
        listener: TcpListener,
        settings: Settings,
        progress: Arc<Progress>,
    ) -> Result<Self, Fault> {
        let (connect_time, traffic) = (settings.connect_time, Traffic::new(settings.rank));
        let state = State { traffic, fault: None, heard: Instant::now(), closing: false };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let inside = Arc::new(Inside {
            state,
            changed,
            progress,
            settings,
            bodies: Semaphore::new(BODIES_AT_A_TIME),
        });
        let (outbox, outgoing) = unbounded_channel();
        let (weak, runs) = (outbox.downgrade(), inside.clone());
        listener.set_nonblocking(true).map_err(|error| Fault::local("listening", error))?;
        let thread = std::thread::Builder::new()
            .name("spu-link".to_owned())
            .spawn(move || client::run(&runs, listener, outgoing, &weak))
            .map_err(|error| Fault::local("starting a thread", error))?;
        let mut link = Self { inside, rank: 0, outbox: Some(outbox), thread: Some(thread) };
        let late = |seconds| Fault::Unreachable { step: Step::Connect, seconds };
        let known = |state: &mut State| {
            state.traffic.rank().filter(|_| state.traffic.connects() > 0 || state.traffic.began())
        };
        link.rank = link.inside.wait(connect_time, late, known)?;
        Ok(link)
    }

    /// Confirms everything, says farewell and waits for the peer's, for a while. Whether it came.
    pub fn close(self) -> bool {
        let mut state = self.inside.lock();
        let numbers = state.traffic.close();
        let farewell = Outgoing::Farewell(state.traffic.sent());
        state.closing = true;
        drop(state);
        for number in numbers {
            self.put(Outgoing::Confirm(number));
        }
        self.put(farewell);
        let late = |seconds| Fault::Silent { step: Step::Close, seconds };
        self.inside.wait(CLOSE_TIME, late, |state| state.traffic.ended().then_some(())).is_ok()
    }

    fn put(&self, outgoing: Outgoing) {
        // The other end is there for as long as this is, but for a thread that failed, and then there is a fault.
        if let Some(outbox) = &self.outbox {
            outbox.send(outgoing).unwrap_or_default();
        }
    }

    fn say(&self, step: Step, name: &str, value: Vec<u8>, window: u64) -> Result<(), Fault> {
        let late = |seconds| Fault::Silent { step, seconds };
        let number = self.inside.wait(self.inside.settings.silence, late, |state| {
            let room = state.traffic.unconfirmed() < window;
            room.then(|| state.traffic.next_number())
        })?;
        self.put(Outgoing::Message(super::wire::numbered(name, number), value));
        Ok(())
    }
}

impl Link for Grpc {
    fn rank(&self) -> u64 {
        self.rank
    }

    fn send(&self, step: Step, name: &str, value: Vec<u8>) -> Result<(), Fault> {
        self.say(step, name, value, WINDOW)
    }

    fn answer(&self, step: Step, name: &str, value: Vec<u8>) -> Result<(), Fault> {
        self.say(step, name, value, ANSWERS_WINDOW)
    }

    fn receive(&self, step: Step, name: &str) -> Result<Bytes, Fault> {
        let late = |seconds| Fault::Silent { step, seconds };
        let (value, number) = self
            .inside
            .wait(self.inside.settings.silence, late, |state| state.traffic.take(name))?;
        self.put(Outgoing::Confirm(number));
        Ok(value)
    }

    fn fail(&self, fault: &Fault) {
        self.inside.fail(fault);
    }

    fn progress(&self) -> &Progress {
        &self.inside.progress
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        self.inside.lock().closing = true;
        self.outbox = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told where it happened.
            thread.join().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
