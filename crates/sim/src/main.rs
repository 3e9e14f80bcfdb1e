//! `tidm-sim run --seeds N [--from S] [--steps K]` and `tidm-sim replay SEED [--step K]`.
//!
//! Never exits 0 after a violation, nor when something that can happen never did.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tidm_sim::bug::Bug;
use tidm_sim::coverage::Coverage;
use tidm_sim::world::{Found, Setup, World};

/// Happenings of one world.
const STEPS: usize = 70;
/// With fewer worlds than this, rare happenings may be missing by chance.
const COVERED_BY: u64 = 150;

#[derive(Parser)]
#[command(version, about = "Simulated data spaces, one per seed")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many worlds; stops at the first violation.
    Run {
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// First seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Happenings of each world.
        #[arg(long, default_value_t = STEPS)]
        steps: usize,
    },
    /// Show what happens in one world.
    Replay {
        seed: u64,
        /// Only this happening and what followed from it.
        #[arg(long)]
        step: Option<usize>,
        /// Happenings of the world, as in the run.
        #[arg(long, default_value_t = STEPS)]
        steps: usize,
        /// With this planted bug.
        #[arg(long, value_parser = |it: &str| Bug::from_name(it).ok_or("no such bug"))]
        bug: Option<Bug>,
    },
}

#[expect(clippy::print_stdout, reason = "a command's result")]
fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run { seeds, from, steps } => run(seeds, from, steps),
        Command::Replay { seed, step, steps, bug } => {
            let mut world = World::new(Setup { seed, steps, bug, keep_log: true })?;
            let found = world.run(steps);
            for (of, line) in &world.log.lines {
                if step.is_none_or(|it| it == *of) {
                    println!("{line}");
                }
            }
            Ok(found.as_ref().map_or(ExitCode::SUCCESS, failed))
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command's result")]
fn failed(it: &Found) -> ExitCode {
    println!("seed {} step {}: violated: {}: {}", it.seed, it.step, it.violation.property, it.violation.why);
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "a command's result")]
fn run(seeds: u64, from: u64, steps: usize) -> anyhow::Result<ExitCode> {
    let mut all = Coverage::default();
    for seed in from..from.saturating_add(seeds) {
        let mut world = World::new(Setup { seed, steps, bug: None, keep_log: false })?;
        let found = world.run(steps);
        all.add(&world.coverage);
        if let Some(found) = found {
            println!("see it again: tidm-sim replay {seed} --steps {steps}");
            return Ok(failed(&found));
        }
    }
    println!("happenings {:?}", all.happenings);
    println!("negotiations {:?}", all.ends);
    println!("transfers {:?}, contracts ended {:?}", all.transfers, all.contracts_ended);
    println!("openings {}, crashes {}, refused starts {}", all.openings, all.crashes, all.refused_starts);
    println!(
        "{} seeds, {} happenings, {} finalized contracts, {} leases, 0 violations",
        all.seeds, all.happened(), all.contracts, all.leases
    );
    let missing = all.missing();
    if !missing.is_empty() && seeds >= COVERED_BY {
        println!("never reached: {}", missing.join(", "));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
