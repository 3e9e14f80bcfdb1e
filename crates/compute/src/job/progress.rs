//! What a job tells while it runs, and what it counts: events as JSON lines, bytes by step.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tidm_mpc::session::Watch;
use tidm_mpc::step::{STEPS, Step};

use super::failure::ErrorReport;
use super::limits::{MAX_MOVED_BYTES, TELL_EVERY};
use super::order::Report;

/// Bytes that left and came, by the name of the step, frames included.
pub type Traffic = BTreeMap<String, Moved>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub sent: u64,
    pub received: u64,
}

/// Under which name bytes count that are said to have moved in no step there is.
pub const UNKNOWN: &str = "unknown";

/// What another process says that it moved, as far as that can be: whoever hears a peer may be anybody's after a while. What has no step's
/// name counts as [`UNKNOWN`], so that nothing is left out of a sum; false where there was any, or more than any job moves.
pub fn believed(said: Traffic) -> (Traffic, bool) {
    let (mut all, mut sound) = (Traffic::new(), true);
    for (name, moved) in said {
        let known = STEPS.iter().any(|step| step.name() == name);
        let of = all.entry(if known { name } else { UNKNOWN.to_owned() }).or_default();
        for (sum, more) in [(&mut of.sent, moved.sent), (&mut of.received, moved.received)] {
            let whole = sum.saturating_add(more);
            *sum = whole.min(MAX_MOVED_BYTES);
            sound &= known && *sum == whole;
        }
    }
    (all, sound)
}

/// One line of a program's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    Progress(Told),
    /// What this process, or all workers of a party, have moved so far; of each step the most that was said counts.
    Moved {
        traffic: Traffic,
        peak_bytes: u64,
    },
    /// A worker has greeted the peer and cut the list.
    Cut(Greeted),
    /// Whoever joins the job from elsewhere may begin ([`super::workers::Start`]).
    Open(Open),
    /// A worker's end: all parts are kept by both.
    Ended,
    Report(Box<Report>),
    Error(ErrorReport),
}

/// What a process needs, beside the order, to join a job.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Of the parts on the disk, in hexadecimal.
    pub key: String,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open(…)")
    }
}

/// What the first worker tells its starter.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Greeted {
    /// Both have everything already.
    pub confirmed: bool,
    /// Of the parts on the disk, in hexadecimal; absent where none was cut.
    pub key: Option<String>,
    pub jail: tidm_jail::Report,
    /// What the reading took.
    pub seconds: f64,
}

impl std::fmt::Debug for Greeted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Greeted").field("confirmed", &self.confirmed).finish_non_exhaustive()
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub phase: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// The part that runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<u32>,
    /// Parts, or rows while the list is read.
    pub done: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<u64>,
    pub sent: u64,
    pub received: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds_left: Option<f64>,
}

/// Takes events.
pub type Tell = Arc<dyn Fn(&Event) + Send + Sync>;

/// Events as lines on stdout; one that nobody reads any more stops nothing.
pub fn to_stdout() -> Tell {
    Arc::new(|event| {
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let mut out = std::io::stdout().lock();
            drop(out.write_all(&line).and_then(|()| out.flush()));
        }
    })
}

/// Counts and tells for one process.
pub struct Progress {
    tell: Tell,
    cancelled: Arc<AtomicBool>,
    inner: Mutex<Inner>,
}

struct Inner {
    now: Told,
    last: Option<Instant>,
    /// When the phase began, and how many of its units were finished then; of phases whose units are known.
    began: Option<(Instant, u64)>,
    /// How much of the part that runs is done.
    within: f64,
    moved: BTreeMap<Step, Moved>,
}

impl Progress {
    /// `cancelled` may be set by anybody at any time.
    pub fn new(tell: Tell, cancelled: Arc<AtomicBool>) -> Self {
        let now = Told::default();
        let inner = Inner { now, last: None, began: None, within: 0.0, moved: BTreeMap::new() };
        Self { tell, cancelled, inner: Mutex::new(inner) }
    }

    /// What stops this process when it is set.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new phase, of which `of` units are to be done.
    pub fn phase(&self, phase: &str, done: u64, of: Option<u64>) {
        let mut inner = self.lock();
        let (sent, received) = (inner.now.sent, inner.now.received);
        inner.now = Told { phase: phase.to_owned(), done, of, sent, received, ..Told::default() };
        inner.began = of.map(|_| (Instant::now(), done));
        inner.within = 0.0;
        inner.last = None;
        self.tell(inner);
    }

    /// Units of the phase that are done.
    pub fn done(&self, done: u64) {
        let mut inner = self.lock();
        inner.now.done = done;
        self.tell(inner);
    }

    pub(super) fn part(&self, part: u32) {
        let mut inner = self.lock();
        inner.now.part = Some(part);
        inner.within = 0.0;
        self.tell(inner);
    }

    /// One more part.
    pub(super) fn finished(&self) {
        let mut inner = self.lock();
        inner.now.done += 1;
        inner.within = 0.0;
        inner.last = inner.last.filter(|_| inner.now.of != Some(inner.now.done));
        self.tell(inner);
    }

    /// What all workers of a party have kept and moved, this process's own share included.
    pub(super) fn of_workers(&self, done: u64, moved: Moved) {
        let mut inner = self.lock();
        (inner.now.sent, inner.now.received) = (moved.sent, moved.received);
        inner.now.done = done;
        self.tell(inner);
    }

    /// Bytes of all steps.
    pub(super) fn moved_in_all(&self) -> Moved {
        let inner = self.lock();
        Moved { sent: inner.now.sent, received: inner.now.received }
    }

    /// Tells, unless that was done a moment ago.
    fn tell(&self, mut inner: MutexGuard<'_, Inner>) {
        if inner.last.is_some_and(|last| last.elapsed() < TELL_EVERY) {
            return;
        }
        inner.last = Some(Instant::now());
        let mut told = inner.now.clone();
        if let (Some((began, before)), Some(of)) = (inner.began, told.of) {
            let done = float(told.done.saturating_sub(before)) + inner.within;
            if done > 0.0 {
                let left = float(of.saturating_sub(told.done)) - inner.within;
                told.seconds_left = Some(began.elapsed().as_secs_f64() / done * left.max(0.0));
            }
        }
        drop(inner);
        // First: whoever hears of bytes knows their kinds, also if nothing more comes.
        self.tell_moved();
        self.event(&Event::Progress(told));
    }

    /// What moved, by step: so it is known even of a process that is killed.
    fn tell_moved(&self) {
        let (traffic, peak_bytes) = (self.traffic(), peak_bytes());
        self.event(&Event::Moved { traffic, peak_bytes });
    }

    pub fn event(&self, event: &Event) {
        (self.tell)(event);
    }

    /// What moved so far, by step.
    pub fn traffic(&self) -> Traffic {
        self.lock().moved.iter().map(|(step, moved)| (step.name().to_owned(), *moved)).collect()
    }

    fn moved(&self, step: Step, sent: u64, received: u64) {
        let mut inner = self.lock();
        let moved = inner.moved.entry(step).or_default();
        moved.sent += sent;
        moved.received += received;
        inner.now.sent += sent;
        inner.now.received += received;
        inner.now.step = Some(step.name().to_owned());
    }
}

/// How much of a part is done, roughly, when so much of a step is: trees are a quarter of its time, the store half.
fn share(step: Step, done: f64) -> f64 {
    let steps = [
        (Step::Trees, 0.0, 0.25),
        (Step::Okvs, 0.25, 0.5),
        (Step::Hint, 0.25, 0.5),
        (Step::Labels, 0.75, 0.25),
    ];
    let found = steps.into_iter().find(|(it, ..)| *it == step);
    found.map_or(0.0, |(_, begin, length)| begin + length * done.min(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "counts of parts stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Drop for Progress {
    /// The last word, before the report or the error.
    fn drop(&mut self) {
        self.tell_moved();
    }
}

impl Watch for Progress {
    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn sent(&self, step: Step, bytes: u64) {
        self.moved(step, bytes, 0);
    }

    fn received(&self, step: Step, bytes: u64) {
        self.moved(step, 0, bytes);
    }

    fn progress(&self, step: Step, done: u64, of: u64) {
        let mut inner = self.lock();
        if inner.now.phase == "running" {
            inner.within = inner.within.max(share(step, float(done) / float(of.max(1))));
        }
        self.tell(inner);
    }
}

/// Adds what others moved.
pub fn add(all: &mut Traffic, more: &Traffic) {
    for (step, moved) in more {
        let sum = all.entry(step.clone()).or_default();
        sum.sent += moved.sent;
        sum.received += moved.received;
    }
}

/// The largest resident set of this process so far, in bytes, as Linux tells it; 0 where it does not.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_that_there_are_are_believed_and_nothing_is_left_out() {
        const MOST: u64 = MAX_MOVED_BYTES;
        type Kinds = &'static [(&'static str, u64, u64)];
        let cases: [(Kinds, Kinds, bool); 6] = [
            (&[], &[], true),
            (&[("okvs", 3, 4), ("kept", 0, MOST)], &[("okvs", 3, 4), ("kept", 0, MOST)], true),
            (
                &[("okvs", 3, 4), ("a", 5, 6), ("b", 7, 8)],
                &[("okvs", 3, 4), (UNKNOWN, 12, 14)],
                false,
            ),
            (&[("table", 1, 1), (UNKNOWN, 1, 1)], &[(UNKNOWN, 2, 2)], false),
            (&[("okvs", MOST + 1, 1)], &[("okvs", MOST, 1)], false),
            (&[("a", u64::MAX, 1), ("b", u64::MAX, 1)], &[(UNKNOWN, MOST, 2)], false),
        ];
        let traffic = |kinds: Kinds| -> Traffic {
            let moved = |&(name, sent, received): &(&str, _, _)| {
                (name.to_owned(), Moved { sent, received })
            };
            kinds.iter().map(moved).collect()
        };
        for (said, expected, sound) in cases {
            assert_eq!(believed(traffic(said)), (traffic(expected), sound), "{said:?}");
        }
        // However many there are.
        let many = (0..10_000).map(|it| (it.to_string(), Moved { sent: 1, received: 0 })).collect();
        let (found, sound) = believed(many);
        assert_eq!((found.len(), found[UNKNOWN].sent, sound), (1, 10_000, false));
    }

    #[test]
    fn one_part_and_a_list_that_is_read_have_an_end_in_sight() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&told);
        let tell: Tell = Arc::new(move |event| {
            if let Event::Progress(told) = event {
                all.lock().unwrap().push(told.clone());
            }
        });
        let progress = Progress::new(tell, Arc::default());
        let left = |phase, act: &dyn Fn()| {
            progress.phase(phase, 0, Some(1));
            std::thread::sleep(2 * TELL_EVERY);
            act();
            told.lock().unwrap().last().unwrap().seconds_left
        };
        let half = left("running", &|| progress.progress(Step::Okvs, 1, 2)).unwrap();
        let near = left("running", &|| progress.progress(Step::Labels, 9, 10)).unwrap();
        assert!(0.0 < near && near < half && half < 100.0, "{near} {half}");
        assert_eq!(left("reading", &|| progress.progress(Step::Okvs, 1, 2)), None);
        assert!(left("reading", &|| progress.done(1)).is_some());
    }
}
