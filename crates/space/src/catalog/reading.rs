//! How reading stands with one member: how to ask next, when, and what a failure means.
//!
//! Never forgets what it knows because a member is silent: entries stay, and show since when nobody confirmed them.

use std::time::Duration;

use crate::limits::{CRAWL_AGAIN, CRAWL_PAUSE, CRAWL_PAUSE_MOST, CRAWL_WHOLE, REASON_CHARS};
use crate::time::Time;

/// What is known of reading one member's catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Not before this.
    pub next: Option<Time>,
    /// In a row.
    pub failures: u32,
    pub failing_since: Option<Time>,
    /// Why the last reading failed.
    pub error: Option<String>,
    /// The last reading that succeeded, also if nothing had changed.
    pub ok: Option<Time>,
    /// The last reading of everything.
    pub whole: Option<Time>,
    pub mark: Option<Mark>,
    pub entries: u64,
}

/// Where the last reading ended, so that the next one asks for what came after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Of our profile: the catalogue's revision.
    Revision(u64),
    /// Of any connector: the `ETag` of its first page.
    Tag(String),
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Everything, by our profile.
    All,
    /// What changed after this revision, by our profile.
    Since(u64),
    /// Everything, by DSP, unless it still has this tag.
    Pages(Option<&'a str>),
}

impl Standing {
    pub fn is_due(&self, now: Time) -> bool {
        self.next.is_none_or(|it| it <= now)
    }

    /// How to ask now. `profile`: the member speaks ours, and its own offers are all we want of it.
    pub fn ask(&self, profile: bool, now: Time) -> Ask<'_> {
        // Once in a while everything, whatever the marks say: a member may have been set back to a backup.
        let lately = self.whole.is_some_and(|it| now.since(it) < CRAWL_WHOLE);
        match (&self.mark, profile) {
            (Some(Mark::Revision(it)), true) if lately => Ask::Since(*it),
            (_, true) => Ask::All,
            (Some(Mark::Tag(it)), false) if lately => Ask::Pages(Some(it)),
            (_, false) => Ask::Pages(None),
        }
    }

    /// After a reading. `whole`: everything was read; `mark`: where it ended.
    #[must_use]
    pub fn succeeded(&self, now: Time, whole: bool, mark: Option<Mark>, entries: u64) -> Self {
        Self {
            next: Some(now.after(CRAWL_AGAIN)),
            failures: 0,
            failing_since: None,
            error: None,
            ok: Some(now),
            whole: if whole { Some(now) } else { self.whole },
            mark,
            entries,
        }
    }

    /// After a failure: growing pauses, everything else as it was.
    #[must_use]
    pub fn failed(&self, now: Time, why: &str) -> Self {
        let failures = self.failures.saturating_add(1);
        Self {
            next: Some(now.after(pause(failures))),
            failures,
            failing_since: self.failing_since.or(Some(now)),
            error: Some(why.chars().take(REASON_CHARS).collect()),
            ..self.clone()
        }
    }
}

/// The pause after so many failures in a row.
pub fn pause(failures: u32) -> Duration {
    CRAWL_PAUSE.saturating_mul(1 << failures.clamp(1, 16).saturating_sub(1)).min(CRAWL_PAUSE_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_ms(seconds * 1000)
    }

    #[test]
    fn marks_are_used_until_everything_is_read_again() {
        let fresh = Standing::default();
        assert!(fresh.is_due(at(0)));
        assert_eq!((fresh.ask(true, at(0)), fresh.ask(false, at(0))), (Ask::All, Ask::Pages(None)));
        let read = fresh.succeeded(at(0), true, Some(Mark::Revision(7)), 3);
        assert_eq!(read.ask(true, at(60)), Ask::Since(7));
        // The member changed its program: an own revision is no tag.
        assert_eq!(read.ask(false, at(60)), Ask::Pages(None));
        let again = read.succeeded(at(60), false, Some(Mark::Revision(9)), 4);
        assert_eq!((again.whole, again.ok), (Some(at(0)), Some(at(60))));
        let day = i64::try_from(CRAWL_WHOLE.as_secs()).unwrap();
        assert_eq!(again.ask(true, at(day - 1)), Ask::Since(9));
        assert_eq!(again.ask(true, at(day)), Ask::All);
        let tagged = fresh.succeeded(at(0), true, Some(Mark::Tag("\"a\"".to_owned())), 3);
        assert_eq!(tagged.ask(false, at(1)), Ask::Pages(Some("\"a\"")));
        assert_eq!(tagged.ask(false, at(day)), Ask::Pages(None));
    }

    #[test]
    fn failures_are_marked_and_pauses_grow_to_a_bound() {
        let read = Standing::default().succeeded(at(0), true, Some(Mark::Revision(7)), 3);
        let first = read.failed(at(100), "no answer");
        let second = first.failed(at(200), &"x".repeat(10_000));
        assert_eq!(
            (second.failing_since, second.failures, second.ok),
            (Some(at(100)), 2, Some(at(0)))
        );
        assert_eq!((second.entries, second.mark.clone()), (3, read.mark));
        assert_eq!(second.error.as_ref().map(String::len), Some(REASON_CHARS));
        assert!(!second.is_due(at(200)) && second.is_due(at(200).after(pause(2))));
        assert_eq!(second.succeeded(at(300), false, None, 3).failing_since, None);
        let pauses: Vec<Duration> = (0..64).map(pause).collect();
        assert!(pauses.is_sorted() && pauses.last() == Some(&CRAWL_PAUSE_MOST));
        assert_eq!(pause(1), CRAWL_PAUSE);
    }
}
