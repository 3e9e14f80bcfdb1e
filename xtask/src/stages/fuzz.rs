//! The fuzz stage: the seeds of `fuzz/` as plain tests, then each target for a few seconds from a printed seed. What it finds is a failure, and the
//! input lies in `fuzz/artifacts`, ready to be committed as a seed.
//!
//! Works on the stable compiler: coverage guides the search, sanitizers (which want a nightly one) are off.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use crate::shell::{Call, tail};
use crate::stages::counts::cargo_test;
use crate::stages::{Context, Counts};
use crate::tools;

/// Seconds per target: in every run, and with `--long`.
const SECONDS: (u64, u64) = (5, 300);
/// A single input larger than this tells nothing that a smaller one does not.
const MAX_INPUT_BYTES: &str = "-max_len=65536";

/// Builds all targets once and runs one after the other.
pub(crate) fn all(context: &Context) -> Result<Counts> {
    tools::ensure_cxx(&context.log)?;
    let program = tools::FUZZ.ensure(&context.log)?;
    let fuzz = context.root.join("fuzz");
    let targets = targets(&fuzz)?;
    // Its own folder: other flags than the workspace's, kept across clones like the rest.
    let base =
        Call::new(program).dir(&context.root).env("CARGO_TARGET_DIR", context.target.join("fuzz"));
    base.clone().args(["build", "-s", "none"]).logged(&context.log)?;
    let mut counts = replay(context, &fuzz)?;

    let seconds = if context.long { SECONDS.1 } else { SECONDS.0 };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() % 1_000_000_007;
    println!("    {} targets, {seconds} s each, seed {seed}", targets.len());
    for target in &targets {
        let found = context.target.join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&found)?;
        let mut call = base.clone().args(["run", "-s", "none", target]).arg(&found);
        let seeds = fuzz.join("seeds").join(target);
        if seeds.is_dir() {
            call = call.arg(seeds);
        }
        let limits = [
            format!("-max_total_time={seconds}"),
            format!("-seed={seed}"),
            MAX_INPUT_BYTES.to_owned(),
        ];
        let (success, written) = call.arg("--").args(limits).logged_output(&context.log)?;
        counts.add(match success {
            true => Counts::success(),
            false => {
                Counts::failure(format!("fuzz target {target}, seed {seed}:\n{}\n", tail(&written)))
            }
        });
    }
    Ok(counts)
}

/// The seeds as plain tests, which is also how the targets are debugged.
fn replay(context: &Context, fuzz: &Path) -> Result<Counts> {
    let call = Call::new("cargo")
        .dir(fuzz)
        .args(["test", "--locked", "--lib"])
        .env("CARGO_TARGET_DIR", &context.target);
    let (success, written) = call.logged_output(&context.log)?;
    let mut counts = cargo_test(&written);
    if !success && counts.failed == 0 || counts.passed + counts.failed == 0 {
        counts.add(Counts::failure(tail(&written)));
    }
    Ok(counts)
}

/// Names of the targets that `fuzz/Cargo.toml` declares.
fn targets(fuzz: &Path) -> Result<Vec<String>> {
    let file = fuzz.join("Cargo.toml");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let manifest: toml::Table =
        text.parse().with_context(|| format!("reading {}", file.display()))?;
    let bins = manifest
        .get("bin")
        .and_then(toml::Value::as_array)
        .context("fuzz/Cargo.toml declares no target")?;
    Ok(bins.iter().filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned)).collect())
}
