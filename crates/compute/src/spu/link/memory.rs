//! A link inside one process, for tests of the sequence: it can change any message on its way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Link;
use crate::spu::fault::{Fault, Step};
use crate::spu::progress::Progress;

/// Longer than any step of a test takes.
const SILENCE: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Line {
    /// By receiver and name.
    messages: Mutex<HashMap<(u64, String), Bytes>>,
    changed: Condvar,
    /// One end has failed: the other waits for nothing.
    ended: AtomicBool,
}

/// What becomes of a message on its way, by its name.
pub(in crate::spu) type Change = Arc<dyn Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync>;

pub(in crate::spu) struct Memory {
    line: Arc<Line>,
    rank: u64,
    change: Change,
    fault: Mutex<Option<Fault>>,
    progress: Progress,
}

pub(in crate::spu) fn unchanged() -> Change {
    Arc::new(|_, value| value)
}

/// Both ends; what is said by the end of rank 1 passes `change`. `said` lies there for both, as if the other had said it.
pub(in crate::spu) fn pair(said: &[(u64, &str, Vec<u8>)], change: Change) -> [Memory; 2] {
    let line = Arc::new(Line::default());
    for (to, name, value) in said {
        line.messages.lock().unwrap().insert((*to, (*name).to_owned()), value.clone().into());
    }
    let end = |rank, change| Memory {
        line: line.clone(),
        rank,
        change,
        fault: Mutex::default(),
        progress: Progress::default(),
    };
    [end(0, unchanged()), end(1, change)]
}

impl Link for Memory {
    fn rank(&self) -> u64 {
        self.rank
    }

    fn send(&self, _: Step, name: &str, value: Vec<u8>) -> Result<(), Fault> {
        let value = (self.change)(name, value);
        let to = (1 - self.rank, name.to_owned());
        self.line.messages.lock().unwrap().entry(to).or_insert_with(|| value.into());
        self.line.changed.notify_all();
        Ok(())
    }

    fn answer(&self, step: Step, name: &str, value: Vec<u8>) -> Result<(), Fault> {
        self.send(step, name, value)
    }

    fn receive(&self, step: Step, name: &str) -> Result<Bytes, Fault> {
        let began = Instant::now();
        let mut messages = self.line.messages.lock().unwrap();
        loop {
            if let Some(fault) = &*self.fault.lock().unwrap() {
                return Err(fault.clone());
            }
            self.progress.go_on()?;
            if let Some(value) = messages.remove(&(self.rank, name.to_owned())) {
                return Ok(value);
            }
            if self.line.ended.load(Ordering::Acquire) {
                return Err(Fault::Lost { reason: "the other end failed".to_owned() });
            }
            if began.elapsed() > SILENCE {
                return Err(Fault::Silent { step, seconds: SILENCE.as_secs() });
            }
            messages = self.line.changed.wait_timeout(messages, SILENCE / 30).unwrap().0;
        }
    }

    fn fail(&self, fault: &Fault) {
        self.fault.lock().unwrap().get_or_insert_with(|| fault.clone());
        self.line.ended.store(true, Ordering::Release);
        self.line.changed.notify_all();
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
