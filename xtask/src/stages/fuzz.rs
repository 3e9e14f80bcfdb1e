//! The fuzz stage: each target of `fuzz/` over its seeds, then for a few seconds from a printed seed. What it finds is a
//! failure, and the input lies in `fuzz/artifacts`, ready to be committed as a seed.
//!
//! The seeds are replayed by the targets, not by the plain test in `fuzz/`, which would compile all dependencies again.
//! Works on the stable compiler: coverage guides the search, sanitizers (which want a nightly one) are off.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::shell::{Call, tail};
use crate::stages::{Context, Counts};
use crate::tools;

/// Seconds per target: in every run, and with `--long`.
const SECONDS: (u64, u64) = (5, 300);
/// A single input larger than this tells nothing that a smaller one does not.
const MAX_INPUT_BYTES: &str = "-max_len=65536";
/// For `cargo fuzz build` and `run`, which must agree or all is built twice: no sanitizer (they want a nightly compiler), and
/// as many codegen units as a few seconds of use are worth.
const FLAGS: [&str; 4] = ["-s", "none", "--codegen-units", "16"];

/// Builds all targets once and runs one after the other.
pub(crate) fn all(context: &Context) -> Result<Counts> {
    tools::ensure_cxx(&context.log)?;
    let program = tools::FUZZ.ensure(&context.log)?;
    let fuzz = context.root.join("fuzz");
    let targets = targets(&fuzz)?;
    // Its own folder: other flags than the workspace's, kept across clones like the rest.
    let base =
        Call::new(program).dir(&context.root).env("CARGO_TARGET_DIR", context.target.join("fuzz"));
    locked(&fuzz, &context.log)?;
    base.clone().args(["build"]).args(FLAGS).logged(&context.log)?;
    let mut counts = Counts::default();

    let seconds = if context.long { SECONDS.1 } else { SECONDS.0 };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() % 1_000_000_007;
    println!("    {} targets, {seconds} s each, seed {seed}", targets.len());
    for target in &targets {
        let seeds = fuzz.join("seeds").join(target);
        counts.add(replay(context, &base, target, &seeds)?);
        let found = context.target.join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&found)?;
        let call = base.clone().args(["run"]).args(FLAGS).args([target]).arg(&found).arg(seeds);
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

/// Fails where a change of the product's dependencies is missing in the lock file here; cargo-fuzz would amend it silently.
fn locked(fuzz: &Path, log: &Path) -> Result<()> {
    Call::new("cargo")
        .dir(fuzz)
        .args(["metadata", "--locked", "--format-version", "1"])
        .logged(log)
        .context("fuzz/Cargo.lock is out of date: run `cargo metadata` in fuzz/ and commit it")
}

/// Each seed of a target once, nothing searched.
fn replay(context: &Context, base: &Call, target: &str, seeds: &Path) -> Result<Counts> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(seeds).with_context(|| format!("the seeds in {}", seeds.display()))?
    {
        files.push(entry?.path());
    }
    ensure!(!files.is_empty(), "no seeds in {}", seeds.display());
    files.sort();
    let call = files
        .into_iter()
        .fold(base.clone().args(["run"]).args(FLAGS).args([target]), |call, file| call.arg(file));
    let (success, written) = call.logged_output(&context.log)?;
    Ok(match success {
        true => Counts::success(),
        false => Counts::failure(format!("fuzz target {target}, its seeds:\n{}\n", tail(&written))),
    })
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
