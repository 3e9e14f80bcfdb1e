//! `cargo xtask conformance`: the public test kits of the Eclipse Dataspace Working Group against real nodes of ours.
//!
//! One file per kit says which nodes it needs and what its properties are; finding the kit, running it and counting its
//! cases is [`kit`], starting nodes is [`node`]. It must never count a case as passed that the kit did not report as
//! passed: a kit that is missing is a skip, and a case that began and did not end has failed.

mod dcp;
mod dps;
mod dsp;
mod kit;
mod node;
mod world;

use std::process::ExitCode;

use anyhow::{Result, bail};

use self::kit::{Kit, Outcome};
use crate::place;
use crate::stages::{Context, Counts};

/// Every kit: what it is, and how a node is put under it.
struct Entry {
    kit: &'static Kit,
    run: fn(&Context) -> Result<Outcome>,
}

const KITS: [Entry; 3] = [
    Entry { kit: &dsp::KIT, run: dsp::run },
    Entry { kit: &dcp::KIT, run: dcp::run },
    Entry { kit: &dps::KIT, run: dps::run },
];

/// The kits named, or all of them, with a table of each.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    for name in args {
        if !KITS.iter().any(|it| it.kit.name == name) {
            let names: Vec<&str> = KITS.iter().map(|it| it.kit.name).collect();
            bail!("there is no kit `{name}`; the kits are: {}", names.join(", "));
        }
    }
    let (root, target) = (place::root()?, place::target()?);
    let mut all = Counts::default();
    for entry in KITS.iter().filter(|it| args.is_empty() || args.iter().any(|n| n == it.kit.name)) {
        let name = entry.kit.name;
        let log = target.join("conformance").join(format!("{name}.stage.log"));
        let context = Context { root: root.clone(), target: target.clone(), log, long: false };
        println!("{} {}", entry.kit.title, entry.kit.version);
        all.add(counted(entry, &context)?);
    }
    if !all.report.is_empty() {
        println!("{}", all.report);
    }
    for skip in &all.skips {
        println!("SKIPPED: {skip}");
    }
    println!("{} passed, {} failed, {} skipped", all.passed, all.failed, all.skips.len());
    Ok(if all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Stage `tck-dsp`.
pub(crate) fn dsp(context: &Context) -> Result<Counts> {
    stage(&dsp::KIT, context)
}

/// Stage `tck-dcp`.
pub(crate) fn dcp(context: &Context) -> Result<Counts> {
    stage(&dcp::KIT, context)
}

/// Stage `tck-dps`.
pub(crate) fn dps(context: &Context) -> Result<Counts> {
    stage(&dps::KIT, context)
}

fn stage(kit: &Kit, context: &Context) -> Result<Counts> {
    let Some(entry) = KITS.iter().find(|it| it.kit.name == kit.name) else {
        bail!("there is no kit `{}`", kit.name);
    };
    counted(entry, context)
}

/// Runs one kit, writes and prints its table, and counts its cases.
fn counted(entry: &Entry, context: &Context) -> Result<Counts> {
    let mut outcome = (entry.run)(context)?;
    if kit::any_lost(&outcome) {
        println!("  cases were lost; the kit runs once more");
        outcome = kit::twice(outcome, &(entry.run)(context)?);
    }
    let table = kit::table(entry.kit, &outcome);
    let path = context.target.join("conformance").join(format!("{}.md", entry.kit.name));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, &table)?;
    println!("{table}\n  written to {}", path.display());
    Ok(kit::counts(entry.kit, &outcome))
}
