//! The fuzz stage: each target of `fuzz/` over its seeds, then for a few seconds from a printed seed. What it finds is a
//! failure, and the input lies in `fuzz/artifacts`, ready to be committed as a seed.
//!
//! One program for all targets, built beside the others: only our own crates are compiled again, to count the branches that
//! guide the search (`fuzz/instrument`). Works on the stable compiler, hence without sanitizers.

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

/// Builds the program once and runs one target after the other.
pub(crate) fn all(context: &Context) -> Result<Counts> {
    tools::ensure_cxx(&context.log)?;
    let fuzz = context.root.join("fuzz");
    // The whole workspace is selected, as everywhere: with fewer packages the dependencies would have other features.
    Call::new("cargo")
        .dir(&context.root)
        .env("CARGO_TARGET_DIR", &context.target)
        .env("RUSTC_WORKSPACE_WRAPPER", fuzz.join("instrument"))
        .args(["build", "--locked", "--workspace", "--bin", "tidm-fuzz"])
        .args(["--features", "tidm-fuzz/libfuzzer"])
        .logged(&context.log)?;
    let base = Call::new(context.target.join("debug/tidm-fuzz")).dir(&fuzz);
    let targets = targets(&fuzz)?;
    let mut counts = Counts::default();

    let seconds = if context.long { SECONDS.1 } else { SECONDS.0 };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() % 1_000_000_007;
    println!("    {} targets, {seconds} s each, seed {seed}", targets.len());
    for target in &targets {
        let seeds = fuzz.join("seeds").join(target);
        let base = base.clone().env("TIDM_FUZZ_TARGET", target);
        counts.add(replay(context, &base, target, &seeds)?);
        let found = context.target.join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&found)?;
        let artifacts = fuzz.join("artifacts").join(target);
        std::fs::create_dir_all(&artifacts)?;
        let limits = [
            format!("-max_total_time={seconds}"),
            format!("-seed={seed}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            MAX_INPUT_BYTES.to_owned(),
        ];
        let call = base.arg(&found).arg(seeds).args(limits);
        let (success, written) = call.logged_output(&context.log)?;
        counts.add(match success {
            true => Counts::success(),
            false => {
                Counts::failure(format!("fuzz target {target}, seed {seed}:\n{}\n", tail(&written)))
            }
        });
    }
    Ok(counts)
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
    let (success, written) = base.clone().args(files).logged_output(&context.log)?;
    Ok(match success {
        true => Counts::success(),
        false => Counts::failure(format!("fuzz target {target}, its seeds:\n{}\n", tail(&written))),
    })
}

/// Names of the targets: each has a folder of seeds, which a test in `fuzz/` holds to be so.
fn targets(fuzz: &Path) -> Result<Vec<String>> {
    let seeds = fuzz.join("seeds");
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(&seeds).with_context(|| format!("the seeds in {}", seeds.display()))?
    {
        names.extend(entry?.file_name().into_string());
    }
    ensure!(!names.is_empty(), "{} holds no target", seeds.display());
    names.sort();
    Ok(names)
}
