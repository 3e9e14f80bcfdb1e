//! Beside a program that opened a file: whether its lease still stands, asked of the node again and again.
//!
//! Threat: a provider that revokes or suspends while the file is open, and a program that would go on until the lease's
//! time is over. Deny by default: any answer but "granted" ends the use at once, and so does a node that does not
//! answer for [`SILENCE`]. Never prolongs a use by itself: only what the node says moves its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two questions: with the way of a notice between two nodes well below the second that is promised.
const LOOK: Duration = Duration::from_millis(250);
/// A node that is started anew answers by then.
const SILENCE: Duration = Duration::from_secs(5);
/// Attempts to renew are at least this far apart, as the gate wants it.
const PAUSE: Duration = Duration::from_secs(1);

/// Until when a program may run. Whoever asks the node moves it, while the program runs.
#[derive(Clone, Debug)]
pub struct Until(Arc<Mutex<Instant>>);

impl Until {
    pub fn after(life: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + life)))
    }

    fn set(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    pub(super) fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the node says of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lasts this long from now.
    Granted(Duration),
    /// It ended, was suspended or revoked, or is none of the asker's.
    Over,
    /// No answer.
    Silent,
}

/// What the node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Stands,
    /// Let it go on, if the gate permits.
    Renew,
}

/// Asks until the use is over: then the end is now. It is renewed while it is `wanted`. Ends when the use does.
pub async fn follow(until: &Until, wanted: Duration, ask: impl AsyncFn(Question) -> Standing) {
    let begun = Instant::now();
    let whole = until.get().saturating_duration_since(begun);
    let last = begun + wanted;
    let (mut heard, mut renewed) = (begun, begun);
    loop {
        tokio::time::sleep(LOOK).await;
        let asked = Instant::now();
        let left = until.get().saturating_duration_since(asked);
        let renew = left < whole / 2 && asked + left + PAUSE < last && asked >= renewed + PAUSE;
        let question = if renew { Question::Renew } else { Question::Stands };
        if renew {
            renewed = asked;
        }
        // A node that takes a question and says nothing is silent.
        let answer = tokio::time::timeout(SILENCE, ask(question)).await;
        match answer.unwrap_or(Standing::Silent) {
            Standing::Granted(life) => {
                heard = Instant::now();
                // From before the question: never later than the node meant.
                until.set(last.min(asked + life));
            }
            Standing::Silent if heard.elapsed() < SILENCE => {}
            Standing::Silent | Standing::Over => {
                until.set(Instant::now());
                return;
            }
        }
        if Instant::now() >= until.get() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn ms(it: u64) -> Duration {
        Duration::from_millis(it)
    }

    #[tokio::test]
    async fn any_other_word_ends_it_and_a_renewal_moves_the_end() {
        let started = Instant::now();
        let until = Until::after(ms(60_000));
        follow(&until, ms(60_000), async |_| Standing::Over).await;
        assert!(until.get() <= Instant::now() && started.elapsed() < ms(1000));

        // Two renewals of a lease of two seconds, then a node that says no.
        let until = Until::after(ms(2000));
        let (first, renewals) = (until.get(), AtomicU32::new(0));
        follow(&until, ms(60_000), async |question| match question {
            Question::Stands if renewals.load(Ordering::Relaxed) == 2 => Standing::Over,
            Question::Stands => {
                Standing::Granted(until.get().saturating_duration_since(Instant::now()))
            }
            Question::Renew => {
                renewals.fetch_add(1, Ordering::Relaxed);
                Standing::Granted(ms(2000))
            }
        })
        .await;
        assert_eq!(renewals.load(Ordering::Relaxed), 2);
        assert!(Instant::now() > first, "it went on beyond its first end");

        // What is not wanted longer is not renewed, and nobody's silence prolongs it.
        let until = Until::after(ms(600));
        follow(&until, ms(600), async |question| {
            assert_eq!(question, Question::Stands);
            Standing::Silent
        })
        .await;
        assert!(until.get() <= Instant::now());
    }
}
