//! What the figures were measured on: processor, memory, kernel, and what the disk does alone.
//!
//! Never guesses: what cannot be read is empty.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::figure::{Goal, Times, say};

/// Syncs measured before a durable bench: a second or two on a common disk.
const SYNCS: usize = 500;
/// Goals for latency hold for disks that sync this fast (milliseconds).
const FAST_SYNC: f64 = 0.5;
/// What is left for everything else on a slower disk (milliseconds).
const REST: f64 = 10.0;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    /// Processes that wanted a core in the last minute: whatever else ran slows the figures.
    load: f64,
    /// `release`, or `dev`, in which the engine is not optimised.
    profile: &'static str,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let line = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|it| it.starts_with(key)).unwrap_or_default();
            line.split_once(':').map(|(_, it)| it.trim().to_owned()).unwrap_or_default()
        };
        let memory = line("/proc/meminfo", "MemTotal");
        let kib = memory.split(' ').next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN);
        Self {
            load,
            cpu: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: kib / 1024,
            kernel: kernel.trim().to_owned(),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
        }
    }

    pub(crate) fn show(&self) {
        let Self { cpu, cores, memory_mib, kernel, load, profile } = self;
        say(&format!(
            "{cpu}, {cores} cores, {memory_mib} MiB, Linux {kernel}, load {load}, profile: {profile}"
        ));
        if *profile == "dev" {
            say(
                "The goals are for the release profile: these values say only that everything runs.",
            );
        }
    }
}

/// What one synced write costs here (milliseconds).
#[derive(Debug, Default, Serialize)]
pub(crate) struct Disk {
    pub sync_p50: f64,
    pub sync_p99: f64,
    pub commits_per_second: f64,
}

impl Disk {
    /// Appends 4 KiB and syncs, again and again.
    pub(crate) fn measure(dir: &Path) -> Result<Self> {
        let mut file = File::create(dir.join("sync"))?;
        let mut times = Vec::with_capacity(SYNCS);
        let started = Instant::now();
        for _ in 0..SYNCS {
            let one = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            times.push(one.elapsed());
        }
        let commits_per_second = SYNCS as f64 / started.elapsed().as_secs_f64();
        let times = Times::new(times);
        Ok(Self { sync_p50: times.at(0.5), sync_p99: times.at(0.99), commits_per_second })
    }

    pub(crate) fn show(&self) {
        say(&format!(
            "fdatasync p50 {:.3} ms, p99 {:.3} ms; {:.0} single commits/s",
            self.sync_p50, self.sync_p99, self.commits_per_second
        ));
    }

    /// The goal for an operation of so many commits, on this disk (milliseconds).
    pub(crate) fn latency(&self, goal: Duration, commits: f64) -> Goal {
        if self.sync_p50 <= FAST_SYNC {
            Goal::AtMost(goal.as_secs_f64() * 1000.0)
        } else {
            Goal::AtMost(commits * self.sync_p50 + REST)
        }
    }
}

/// `target/bench`: on the same disk as everything that is built, never in memory.
pub(crate) fn scratch_dir() -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let dir = target.join("bench");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}
