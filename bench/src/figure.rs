//! Figures with their goals: printed for people, written for programs.
//!
//! Never rounds a miss into a hit: `met` compares the measured value.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::machine::{self, Disk, Machine};

/// What is wanted of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// One of two that are wanted, of which the other one holds or not: at most so much, or that.
    AtMostOr(f64, bool),
    /// Shown for comparison.
    None,
}

#[derive(Clone, Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    goal: Option<String>,
    met: Option<bool>,
    /// What others reach at the same task.
    peer: Option<String>,
    note: Option<String>,
}

/// The figures of one bench.
pub(crate) struct Report {
    name: &'static str,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct File<'a> {
    machine: Machine,
    /// What a synced write costs, where the operations wait for the disk.
    disk: Option<&'a Disk>,
    figures: &'a [Figure],
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        goal: Goal,
    ) -> &mut Self {
        let (text, met) = match goal {
            Goal::AtLeast(least) => (Some(format!("≥ {least}")), Some(value >= least)),
            Goal::AtMost(most) => (Some(format!("≤ {most:.3}")), Some(value <= most)),
            Goal::AtMostOr(most, other) => {
                (Some(format!("≤ {most:.3}, or beside the peer")), Some(value <= most || other))
            }
            Goal::None => (None, None),
        };
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            goal: text,
            met,
            peer: None,
            note: None,
        });
        self
    }

    /// Says of the last figure what others reach.
    pub(crate) fn peer(&mut self, text: &str) -> &mut Self {
        if let Some(last) = self.figures.last_mut() {
            last.peer = Some(text.to_owned());
        }
        self
    }

    pub(crate) fn note(&mut self, text: &str) -> &mut Self {
        if let Some(last) = self.figures.last_mut() {
            last.note = Some(text.to_owned());
        }
        self
    }

    /// Prints all and writes `target/bench/NAME.json`; how many goals were missed.
    pub(crate) fn write(&self, disk: Option<&Disk>) -> Result<usize> {
        for it in &self.figures {
            let goal = it.goal.as_deref().map(|goal| format!("  goal {goal}")).unwrap_or_default();
            let met = match it.met {
                Some(true) => "  met",
                Some(false) => "  MISSED",
                None => "",
            };
            let peer = it.peer.as_deref().map(|it| format!("  ({it})")).unwrap_or_default();
            let note = it.note.as_deref().map(|it| format!("  [{it}]")).unwrap_or_default();
            say(&format!("{:<44} {:>12.3} {}{goal}{met}{peer}{note}", it.name, it.value, it.unit));
        }
        let file = File { machine: Machine::read(), disk, figures: &self.figures };
        let path: PathBuf = machine::scratch_dir()?.join(format!("{}.json", self.name));
        std::fs::write(&path, serde_json::to_string_pretty(&file)?)
            .with_context(|| path.display().to_string())?;
        Ok(self.figures.iter().filter(|it| it.met == Some(false)).count())
    }
}

/// Durations of one kind of operation.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Milliseconds below which `share` (0 to 1) of the operations stay; NaN when there are none.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a share of a length is an index below it"
        )]
        let index = ((last as f64) * share).round() as usize;
        self.0.get(index.min(last)).map_or(f64::NAN, |it| it.as_secs_f64() * 1000.0)
    }
}

/// The middle one; NaN when there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn milliseconds(it: Duration) -> f64 {
    it.as_secs_f64() * 1000.0
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
