//! Two lists of 18-character ids, half of them common, from CSV files to the receiver's file of matched rows: our job as processes,
//! and beside it SecretFlow's published `spu` on the same files, in the same minutes.
//!
//! Each run has a network namespace of its own, whose loopback counts what both said, headers and all. `TIDM_SPU_PYTHON` names
//! a Python with `spu` 0.9.5; without it only ours is measured. The peer's time begins when Python has loaded it. Where its result is
//! wrong, or it ends without one, that is said beside its figures: ours must be right, or there is no figure.
//! `--long` adds lists of 10^7 (both), 10^8 and 2 · 10^8 (ours), and says what 10^9 would take: a projection, not a measurement.
//! A time is as wanted if it is below its bound or so many times below the peer's in the same run.
//!
//! Never a figure of one kind beside one of another: files in, file out, both parties on this machine, for both programs.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::figure::{Goal, Report, median};
use crate::machine::scratch_dir;
use crate::size;

/// Names the program to measure; otherwise the one beside this program.
const WORKER: &str = "TIDM_COMPUTE_WORKER";
const PYTHON: &str = "TIDM_SPU_PYTHON";

/// What is wanted at a size: seconds and mebibytes of each party; and the memory an order gives.
struct Wanted {
    items: u64,
    seconds: f64,
    /// Or so many times less than the peer.
    faster: f64,
    resident: f64,
    memory_mib: u64,
    rounds: usize,
    with_peer: bool,
}

const SIZES: &[Wanted] = &[
    Wanted {
        items: 1 << 20,
        seconds: 0.9,
        faster: 3.1,
        resident: 200.0,
        memory_mib: 256,
        rounds: 3,
        with_peer: true,
    },
    Wanted {
        items: 10_000_000,
        seconds: 8.0,
        faster: 3.8,
        resident: 512.0,
        memory_mib: 512,
        rounds: 3,
        with_peer: true,
    },
    Wanted {
        items: 100_000_000,
        seconds: 90.0,
        faster: f64::INFINITY,
        resident: 2048.0,
        memory_mib: 1800,
        rounds: 1,
        with_peer: false,
    },
    // For the slope of the projection: twice as much, within the same memory.
    Wanted {
        items: 200_000_000,
        seconds: f64::INFINITY,
        faster: f64::INFINITY,
        resident: 2048.0,
        memory_mib: 1800,
        rounds: 1,
        with_peer: false,
    },
];

/// What is projected, and the seconds that it may take.
const PROJECTED: (u64, f64) = (1_000_000_000, 900.0);

/// A variant of the protocol, as each program calls it, and the bytes per item that are wanted.
struct Variant {
    name: &'static str,
    ours: &'static str,
    /// None where the peer has nothing of the kind.
    peer: Option<&'static str>,
    bytes: f64,
    /// Seconds that are wanted of this variant, where they are not those of its size.
    seconds: Option<f64>,
    /// Of lists above this size it is not measured.
    most: u64,
}

const VARIANTS: &[Variant] = &[
    Variant {
        name: "fast",
        ours: "semi-honest",
        peer: Some("rr22"),
        bytes: 33e6 / 1_048_576.0,
        seconds: None,
        most: u64::MAX,
    },
    Variant {
        name: "low communication",
        ours: "semi-honest-low",
        peer: Some("rr22-low-comm"),
        bytes: 21e6 / 1_048_576.0,
        seconds: None,
        most: 1 << 24,
    },
    Variant {
        name: "malicious",
        ours: "malicious",
        peer: None,
        bytes: f64::INFINITY,
        seconds: None,
        most: 1 << 20,
    },
    Variant {
        name: "ECDH",
        ours: "ecdh",
        peer: Some("ecdh"),
        bytes: f64::INFINITY,
        seconds: Some(11.0),
        most: 1 << 20,
    },
];

/// What both programs say of a run.
#[derive(Deserialize)]
struct Told {
    seconds: f64,
    receiver: Party,
    sender: Party,
}

#[derive(Deserialize)]
struct Party {
    matched: Option<i64>,
    peak_bytes: f64,
    #[serde(alias = "cpu_seconds")]
    cpu: f64,
}

struct Run {
    told: Told,
    moved: f64,
    /// Rows of the result more than there are, or less.
    off: i64,
}

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let mut slopes = Vec::new();
    let sizes = if size::is_long() { SIZES } else { SIZES.get(..1).unwrap_or_default() };
    for wanted in sizes {
        let items = wanted.items / size::divisor();
        let lists = Lists { dir: dir.path(), items };
        write(&lists.mine(), 0, items)?;
        write(&lists.theirs(), items / 2, items)?;
        for variant in VARIANTS.iter().filter(|it| wanted.items <= it.most) {
            let seconds = measure(report, &lists, wanted, variant)?;
            slopes.push((variant.name, items, seconds));
        }
    }
    for variant in VARIANTS {
        project(report, variant.name, &slopes);
    }
    Ok(())
}

/// What a billion would take, by what each further item took between the two largest lists, which both lie on the disk in parts
/// of one size.
fn project(report: &mut Report, variant: &str, seconds: &[(&str, u64, f64)]) {
    let of: Vec<(u64, f64)> =
        seconds.iter().filter(|it| it.0 == variant).map(|it| (it.1, it.2)).collect();
    let [.., (few, less), (many, more)] = of.as_slice() else { return };
    if *many != few * 2 {
        return;
    }
    let (items, goal) = PROJECTED;
    let each = (more - less) / (many - few) as f64;
    let power = (more / less).log2();
    let as_power = more * (items as f64 / *many as f64).powf(power);
    let name = format!("{items} × {items}, {variant}: list to result, projected");
    let note = format!(
        "not run: {less:.1} s for {few} and {more:.1} s for {many}, so {:.2} s for each further million; as a power of the size ({power:.2}) it would be {as_power:.0} s",
        each * 1e6
    );
    let goal = if size::is_full() { Goal::AtMost(goal) } else { Goal::None };
    report.add(&name, more + (items - many) as f64 * each, "s", goal).note(&note);
}

/// What is shown of a variant: name, value of a run, unit, goal.
type Line<'a> = (&'a str, &'a dyn Fn(&Run) -> f64, &'static str, Goal);

fn measure(
    report: &mut Report,
    lists: &Lists<'_>,
    wanted: &Wanted,
    variant: &Variant,
) -> Result<f64> {
    let python = std::env::var_os(PYTHON).filter(|_| wanted.with_peer).zip(variant.peer);
    let (mut ours, mut peers, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    let mut wrong = Vec::new();
    // In turn, so that what else the machine does weighs on both.
    for _ in 0..wanted.rounds {
        let run = lists.our_run(wanted.memory_mib, variant.ours)?;
        if let Some((python, protocol)) = &python {
            match lists.peer_run(python, protocol) {
                Ok(peer) => {
                    if peer.off != 0 {
                        wrong.push(format!("a result with {:+} rows", peer.off));
                    }
                    pairs.push((ours.len(), peers.len()));
                    peers.push(peer);
                }
                Err(why) => {
                    let why = why.root_cause().to_string();
                    let said = why.lines().last().unwrap_or_default();
                    wrong.push(format!("none, {}", said.trim()));
                }
            }
        }
        ours.push(run);
    }
    let items = lists.items;
    let bound = |bound: f64| match size::is_full() && bound.is_finite() {
        true => Goal::AtMost(bound),
        false => Goal::None,
    };
    let cpu = |run: &Run| run.told.receiver.cpu + run.told.sender.cpu;
    let peak = |run: &Run| {
        run.told.receiver.peak_bytes.max(run.told.sender.peak_bytes) / f64::from(1 << 20)
    };
    let of = |runs: &[Run], value: &dyn Fn(&Run) -> f64| median(runs.iter().map(value).collect());
    let ratio = |value: &dyn Fn(&Run) -> f64| {
        let of = |(ours, peer): (&Run, &Run)| value(peer) / value(ours);
        let pairs = pairs.iter().filter_map(|(a, b)| ours.get(*a).zip(peers.get(*b)));
        median(pairs.map(of).collect())
    };
    let seconds = |run: &Run| run.told.seconds;
    let faster = ratio(&seconds);
    let sized = size::is_full() && variant.peer.is_some() && wanted.seconds.is_finite();
    let time = match variant.seconds {
        Some(seconds) => bound(seconds),
        None if sized => Goal::AtMostOr(wanted.seconds, faster >= wanted.faster),
        None => Goal::None,
    };
    let name = |what: &str| format!("{items} × {items}, {}: {what}", variant.name);
    let lines: [Line<'_>; 4] = [
        ("list to result", &seconds, "s", time),
        ("processor time", &cpu, "s", Goal::None),
        ("loopback", &|run| run.moved, "MB", bound(variant.bytes * items as f64 / 1e6)),
        ("memory of the larger", &peak, "MiB", bound(wanted.resident)),
    ];
    for (what, value, unit, goal) in lines {
        report.add(&name(what), of(&ours, value), unit, goal);
        if !peers.is_empty() {
            report.peer(&format!("spu 0.9.5: {:.2} {unit}", of(&peers, value)));
        }
    }
    if !peers.is_empty() {
        report.add(&name("spu's time / ours"), faster, "×", Goal::AtLeast(1.0));
        if variant.seconds.is_none() {
            report.note(&format!("{} is wanted where the bound on time is missed", wanted.faster));
        }
        report.add(&name("spu's processor time / ours"), ratio(&cpu), "×", Goal::AtLeast(1.0));
    }
    if python.is_some() {
        let count = u32::try_from(wrong.len()).unwrap_or(u32::MAX);
        report.add(&name("spu's runs without the right result"), count.into(), "runs", Goal::None);
        report.note(&format!("of {}: {}", wanted.rounds, wrong.join(", ")));
    }
    Ok(of(&ours, &seconds))
}

/// Ids that say nothing about their order, one a line.
pub(crate) fn write(path: &Path, begin: u64, count: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(b"id\n")?;
    for number in begin..begin + count {
        // An odd factor modulo 2^59 (below 10^18): different numbers stay different.
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << 59) - 1);
        writeln!(file, "{id:018}")?;
    }
    Ok(file.flush()?)
}

/// The computing process.
pub(crate) fn program() -> Result<PathBuf> {
    let program = match std::env::var_os(WORKER) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("tidm-compute-worker"),
    };
    ensure!(program.is_file(), "{} is not there; build it or set {WORKER}", program.display());
    Ok(program)
}

/// Two lists on the disk.
struct Lists<'a> {
    dir: &'a Path,
    items: u64,
}

impl Lists<'_> {
    fn mine(&self) -> PathBuf {
        self.dir.join("mine.csv")
    }

    fn theirs(&self) -> PathBuf {
        self.dir.join("theirs.csv")
    }

    fn our_run(&self, memory_mib: u64, security: &str) -> Result<Run> {
        let program = program()?;
        let mut out = std::ffi::OsString::from("out=");
        out.push(self.dir.join("matched.csv"));
        let options = [format!("memory-mib={memory_mib}"), format!("security={security}")];
        let (mine, theirs) = (self.mine(), self.theirs());
        let words: [&OsStr; 8] = [
            program.as_ref(),
            "local".as_ref(),
            mine.as_ref(),
            theirs.as_ref(),
            "id".as_ref(),
            &out,
            options[0].as_ref(),
            options[1].as_ref(),
        ];
        let run = alone(&words, self.items)?;
        ensure!(run.off == 0, "a wrong result, by {} rows", run.off);
        Ok(run)
    }

    fn peer_run(&self, python: &OsStr, protocol: &str) -> Result<Run> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/psi_spu.py");
        let (mine, theirs, out) = (self.mine(), self.theirs(), self.dir.join("spu.csv"));
        let words: [&OsStr; 7] = [
            python,
            script.as_ref(),
            protocol.as_ref(),
            mine.as_ref(),
            theirs.as_ref(),
            "id".as_ref(),
            out.as_ref(),
        ];
        alone(&words, self.items)
    }
}

fn alone(words: &[&OsStr], items: u64) -> Result<Run> {
    let (text, moved) = isolated(words)?;
    let json = text.lines().find(|line| line.starts_with('{')).context("no result")?;
    let told: Told = serde_json::from_str(json)?;
    let matched = told.receiver.matched.context("no count of rows")?;
    let off = matched - i64::try_from(items - items / 2)?;
    Ok(Run { told, moved, off })
}

/// Runs a program in a network namespace of its own: what it says, and the megabytes that its loopback counted.
pub(crate) fn isolated(words: &[&OsStr]) -> Result<(String, f64)> {
    const SCRIPT: &str = "ip link set lo up && \"$@\" && grep lo: /proc/net/dev";
    let mut command = Command::new("taskset");
    // The same two cores for both programs, whatever the machine has.
    command.args(["--cpu-list", "0,1", "unshare", "--net", "--map-root-user"]);
    command.args(["sh", "-c", SCRIPT, "sh"]).args(words);
    let output = command.output().context("taskset and unshare (util-linux) are needed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?} failed: {text} {why}");
    let count = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let count = count.and_then(|line| line.split_whitespace().next()).context("no counter")?;
    let moved = count.parse::<f64>()? / 1e6;
    Ok((text.into_owned(), moved))
}
