//! Entries on their way into the log of what people did: written together, and refusals and reads that repeat themselves
//! counted.
//!
//! Threat model: whoever has a key of little worth, or none, and calls without end. Of one account and act the first
//! refusal is an entry at once, those of the minute after it are one more with their number; an account has so many acts
//! counted apart, and all strangers together have one. What was allowed to be read is counted in memory alone, and is an
//! entry for each account and route when the minute is over. Calls that come at the same time share a transaction.
//! A node that is killed loses the numbers of the running minute, never an entry that was waited for.
//!
//! Never a body, a secret or an address in an entry.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use tidm_space::people::log::ANONYMOUS;
use tidm_space::time::Time;

use super::SUBJECT_CHARS;
use crate::accounts::broken;
use crate::app::App;
use crate::problem::Problem;
use crate::store::people::{Said, say};
use crate::store::writer::{WorkError, Writer};

/// Refusals of one account and act share an entry for so long.
pub const MINUTE: Duration = Duration::from_secs(60);
/// How often ended minutes are looked for.
const LOOK: Duration = Duration::from_secs(10);
/// Acts of one account that are counted apart: nobody is refused at so many by mistake.
const ACTS_OF_ONE: usize = 8;
/// Accounts whose refusals are counted at a time; those beyond share one.
const ACCOUNTS: usize = 1000;
/// Entries of one transaction: they hold the writer for some milliseconds.
const BATCH: usize = 256;
/// Entries that wait for the store; more only come while it fails.
const WAITING: usize = 4096;
/// Routes of accounts whose reads are counted at a time; at so many the minute ends early.
const READS: usize = 1024;
/// What stands for several acts.
const SEVERAL: &str = "call";

type Told = oneshot::Sender<Result<(), WorkError>>;

#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    waiting: VecDeque<(Said, Told)>,
    /// Somebody writes what waits.
    busy: bool,
    minutes: Minutes,
    reads: Reads,
}

impl Diary {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry in line; it is written even if nobody waits for the answer.
    fn put(&self, writer: &Writer, said: Said) -> oneshot::Receiver<Result<(), WorkError>> {
        let (tell, told) = oneshot::channel();
        let mut inner = self.inner();
        if inner.waiting.len() >= WAITING {
            drop(tell.send(Err(WorkError::Store("too many entries wait".to_owned()))));
            return told;
        }
        let begin = !inner.busy;
        if begin && let Ok(runtime) = Handle::try_current() {
            inner.busy = true;
            runtime.spawn(write_out(self.clone(), writer.clone()));
        }
        inner.waiting.push_back((said, tell));
        told
    }

    /// Writes an entry; when this returns it is durable.
    pub(crate) async fn write(&self, writer: &Writer, said: Said) -> Result<(), Problem> {
        let told = self.put(writer, said).await.map_err(|_| WorkError::Stopping);
        told.and_then(|it| it).map_err(|why| broken(&why))
    }

    /// Counts what somebody was let read: nothing is written for it now, but where a minute ends early.
    pub(crate) fn read(&self, writer: &Writer, now: Time, who: &str, act: &str) {
        let due = self.inner().reads.count(now, who, act);
        for it in due {
            self.leave(writer, it);
        }
    }

    /// The same for who cannot wait.
    pub(crate) fn leave(&self, writer: &Writer, said: Said) {
        drop(self.put(writer, said));
    }
}

async fn write_out(diary: Diary, writer: Writer) {
    loop {
        let (batch, told): (Vec<Said>, Vec<Told>) = {
            let mut inner = diary.inner();
            let count = inner.waiting.len().min(BATCH);
            inner.busy = count > 0;
            inner.waiting.drain(..count).unzip()
        };
        if batch.is_empty() {
            return;
        }
        let batch = Arc::new(batch);
        let noted = writer.note(move |conn| {
            let batch = batch.clone();
            Box::pin(async move {
                for it in batch.iter() {
                    say(conn, it).await?;
                }
                Ok(())
            })
        });
        let done = noted.await;
        if let Err(error) = &done {
            tracing::error!(%error, "entries of the log of what people did could not be written");
        }
        for it in told {
            drop(it.send(done.clone()));
        }
    }
}

/// Acts by account, with the minute that runs since each was refused.
#[derive(Default)]
struct Minutes(BTreeMap<String, BTreeMap<String, Minute>>);

struct Minute {
    since: Time,
    /// Refusals since, and the last of them.
    more: Option<Said>,
}

impl Minutes {
    /// What is to be written now.
    fn refused(&mut self, mut said: Said) -> Vec<Said> {
        let now = said.at;
        let known = self.0.contains_key(&said.who);
        let who = if known || self.0.len() < ACCOUNTS { &said.who } else { ANONYMOUS };
        let who = who.to_owned();
        let acts = self.0.entry(who.clone()).or_default();
        let apart =
            who != ANONYMOUS && (acts.contains_key(said.act.as_ref()) || acts.len() < ACTS_OF_ONE);
        said.who = who;
        let act = if apart { said.act.to_string() } else { SEVERAL.to_owned() };
        let mut out = Vec::new();
        if let Some(minute) = acts.get_mut(&act) {
            if now.since(minute.since) < MINUTE {
                let mut last = said;
                last.times = minute.more.as_ref().map_or(1, |it| it.times.saturating_add(1));
                if !apart && minute.more.is_some() {
                    (last.act, last.subject) = (SEVERAL.into(), String::new());
                }
                minute.more = Some(last);
                return out;
            }
            out.extend(minute.more.take());
        }
        acts.insert(act, Minute { since: now, more: None });
        out.push(said);
        out
    }

    /// Those whose minute is over, or all.
    fn over(&mut self, now: Time, all: bool) -> Vec<Said> {
        let mut out = Vec::new();
        self.0.retain(|_, acts| {
            acts.retain(|_, minute| {
                let runs = !all && now.since(minute.since) < MINUTE;
                if !runs {
                    out.extend(minute.more.take());
                }
                runs
            });
            !acts.is_empty()
        });
        out
    }
}

/// What was read in the running minute, by account and route: how often, and when last.
#[derive(Default)]
struct Reads {
    since: Option<Time>,
    counted: usize,
    by: BTreeMap<String, BTreeMap<String, (u64, Time)>>,
}

impl Reads {
    /// What is to be written now.
    fn count(&mut self, now: Time, who: &str, act: &str) -> Vec<Said> {
        if let Some((times, last)) = self.by.get_mut(who).and_then(|it| it.get_mut(act)) {
            (*times, *last) = (times.saturating_add(1), now);
            return Vec::new();
        }
        let due = if self.counted < READS { Vec::new() } else { self.over(now, true) };
        self.since.get_or_insert(now);
        self.counted = self.counted.saturating_add(1);
        self.by.entry(who.to_owned()).or_default().insert(act.to_owned(), (1, now));
        due
    }

    /// All, when the minute is over.
    fn over(&mut self, now: Time, all: bool) -> Vec<Said> {
        if !all && self.since.is_none_or(|it| now.since(it) < MINUTE) {
            return Vec::new();
        }
        let entry = |who: &str, act: String, (times, at): (u64, Time)| Said {
            act: act.into(),
            times,
            ..Said::done(at, who, "", "")
        };
        let all = std::mem::take(self).by.into_iter();
        all.flat_map(|(who, acts)| {
            acts.into_iter().map(|(act, it)| entry(&who, act, it)).collect::<Vec<_>>()
        })
        .collect()
    }
}

/// Logs a refusal, or counts it where the like was logged within the minute.
pub(crate) async fn refused(
    app: &App,
    who: &str,
    act: impl Into<std::borrow::Cow<'static, str>>,
    subject: &str,
    why: &str,
) -> Result<(), Problem> {
    let said = Said {
        at: app.clock.now(),
        who: who.to_owned(),
        act: act.into(),
        subject: plain(subject),
        refused: Some(plain(why)),
        times: 1,
        left: false,
    };
    let due = app.diary.inner().minutes.refused(said);
    for it in due {
        app.diary.write(&app.writer, it).await?;
    }
    Ok(())
}

/// As it may stand in an entry: bounded, and nothing that moves a terminal's cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(SUBJECT_CHARS).map(|it| if it.is_control() { '?' } else { it }).collect()
}

/// Writes the numbers of the minutes that are over by `now`, or of all.
pub async fn settle(app: &App, now: Time, all: bool) -> Result<(), Problem> {
    let due = {
        let mut inner = app.diary.inner();
        let mut due = inner.minutes.over(now, all);
        due.extend(inner.reads.over(now, all));
        due
    };
    for some in due.chunks(BATCH) {
        let put = |it: &Said| app.diary.put(&app.writer, it.clone());
        for told in some.iter().map(put).collect::<Vec<_>>() {
            let told = told.await.map_err(|_| WorkError::Stopping);
            told.and_then(|it| it).map_err(|why| broken(&why))?;
        }
    }
    Ok(())
}

/// Runs until it is dropped.
pub async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(problem) = settle(&app, app.clock.now(), false).await {
            tracing::warn!(code = problem.code, "numbers of refusals are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(who: &str, act: &str, ms: i64) -> Said {
        Said {
            at: Time::from_ms(ms),
            who: who.to_owned(),
            act: act.to_owned().into(),
            subject: String::new(),
            refused: Some("no".to_owned()),
            times: 1,
            left: false,
        }
    }

    fn times(all: &[Said]) -> Vec<u64> {
        all.iter().map(|it| it.times).collect()
    }

    #[test]
    fn refusals_without_end_are_two_entries_a_minute() {
        let mut it = Minutes::default();
        assert_eq!(times(&it.refused(said("li", "POST /x", 0))), [1]);
        for ms in 1..=41 {
            assert!(it.refused(said("li", "POST /x", ms * 1000)).is_empty());
        }
        assert!(it.over(Time::from_ms(59_999), false).is_empty());
        // Whoever goes on finds the minute over; whoever stopped is found by the loop.
        assert_eq!(times(&it.refused(said("li", "POST /x", 60_000))), [41, 1]);
        assert!(it.refused(said("li", "POST /x", 60_001)).is_empty());
        assert_eq!(times(&it.over(Time::from_ms(120_000), false)), [1]);
        assert!(it.0.is_empty());
    }

    #[test]
    fn reads_without_end_are_an_entry_a_minute_for_each_route() {
        let mut it = Reads::default();
        let at = Time::from_ms;
        for ms in 0..1000 {
            assert!(it.count(at(ms), "li", "GET /products").is_empty());
            assert!(it.count(at(ms), "li", ["GET /x", "GET /y"][usize::from(ms > 9)]).is_empty());
        }
        assert!(it.over(at(59_999), false).is_empty());
        let all = it.over(at(60_000), false);
        assert_eq!(times(&all), [1000, 10, 990]);
        assert_eq!((all[0].at, all[0].refused.as_ref()), (at(999), None));
        assert!(it.over(at(200_000), true).is_empty(), "nothing is left");
        // Whoever has many accounts: what is kept is bounded, and none is lost.
        let mut written = Vec::new();
        for who in 0..3000 {
            written.extend(it.count(at(who), &format!("p{who}"), "GET /x"));
            assert!(it.counted <= READS && it.by.len() <= READS);
        }
        written.extend(it.over(at(3000), true));
        assert_eq!(written.iter().map(|it| it.times).sum::<u64>(), 3000);
    }

    #[test]
    fn acts_accounts_and_strangers_are_bounded() {
        let mut it = Minutes::default();
        let mut written = 0;
        for act in 0..100 {
            written += it.refused(said("li", &format!("POST /{act}"), 0)).len();
            written += it.refused(said(ANONYMOUS, &format!("POST /{act}"), 0)).len();
        }
        assert_eq!(written, ACTS_OF_ONE + 1 + 1, "the first ones, their rest, the strangers");
        let rest = it.over(Time::from_ms(0), true);
        assert_eq!(rest.iter().map(|it| it.times).sum::<u64>(), 200 - 10, "none is lost");
        assert!(rest.iter().all(|it| it.act == SEVERAL && it.subject.is_empty()));
        for who in 0..3000 {
            it.refused(said(&format!("p{who}"), "x", 0));
        }
        assert!(it.0.len() <= ACCOUNTS + 1, "{}", it.0.len());
    }
}
