//! Tells the walk while it happens: one line a step, with milliseconds and what it proved.
//!
//! Never says that a step succeeded before it did: the tick is printed by the step's own result.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use tidm_node::lang::Lang;

use super::trouble::Trouble;

/// One finished step.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) title: String,
    pub(crate) proved: String,
    pub(crate) took: Duration,
}

/// The demo's voice and its memory of what it said.
pub(crate) struct Teller {
    pub(crate) lang: Lang,
    pub(crate) told: Vec<Told>,
    pub(crate) started: Instant,
    terminal: bool,
}

impl Teller {
    pub(crate) fn new(lang: Lang) -> Self {
        Self {
            lang,
            told: Vec::new(),
            started: Instant::now(),
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// A chapter's heading.
    pub(crate) fn chapter(&self, zh: &str, en: &str) {
        line(&format!("\n{}", self.lang.pick(zh, en)));
    }

    /// Anything else worth a line.
    pub(crate) fn say(&self, text: &str) {
        line(text);
    }

    /// Runs one step; it answers with its value and what it proved.
    pub(crate) async fn step<T>(
        &mut self,
        zh: &str,
        en: &str,
        work: impl Future<Output = Result<(T, String), Trouble>>,
    ) -> Result<T, Trouble> {
        let title = self.lang.pick(zh, en).to_owned();
        if self.terminal {
            part(&format!("  … {title}"));
        }
        let begun = Instant::now();
        let done = work.await;
        let took = begun.elapsed();
        if self.terminal {
            part("\r\x1b[K");
        }
        match done {
            Ok((value, proved)) => {
                line(&format!("  ✓ {title}  ({})", milliseconds(took)));
                for row in proved.lines() {
                    line(&format!("      {row}"));
                }
                self.told.push(Told { title, proved, took });
                Ok(value)
            }
            Err(trouble) => {
                line(&format!("  ✗ {title}  ({})", milliseconds(took)));
                Err(trouble)
            }
        }
    }
}

/// `1234 ms`.
pub(crate) fn milliseconds(it: Duration) -> String {
    format!("{} ms", it.as_millis())
}

/// Standard output may be a pipe that closed; the walk goes on all the same.
fn line(text: &str) {
    part(text);
    part("\n");
}

fn part(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
