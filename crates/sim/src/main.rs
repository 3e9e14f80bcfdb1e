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
    println!(
        "seed {} step {}: violated: {}: {}",
        it.seed, it.step, it.violation.property, it.violation.why
    );
    println!("0 passed, 1 failed");
    ExitCode::FAILURE
}

/// Worlds are independent: each core takes every so manieth seed. Ends at the first violation of each.
fn many(seeds: u64, from: u64, steps: usize) -> anyhow::Result<(Coverage, Option<Found>)> {
    let cores = u64::try_from(std::thread::available_parallelism().map_or(1, usize::from))?;
    let worker = |first: u64| -> anyhow::Result<(Coverage, Option<Found>)> {
        let mut all = Coverage::default();
        let mut seed = first;
        while seed < from.saturating_add(seeds) {
            let mut world = World::new(Setup { seed, steps, bug: None, keep_log: false })?;
            let found = world.run(steps);
            all.add(&world.coverage);
            if found.is_some() {
                return Ok((all, found));
            }
            seed = seed.saturating_add(cores);
        }
        Ok((all, None))
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..cores).map(|it| scope.spawn(move || worker(from.saturating_add(it)))).collect();
        let mut all = Coverage::default();
        let mut first: Option<Found> = None;
        for it in workers {
            let (coverage, found) =
                it.join().map_err(|_| anyhow::anyhow!("a world panicked"))??;
            all.add(&coverage);
            first = match (first, found) {
                (Some(a), Some(b)) => Some(if a.seed < b.seed { a } else { b }),
                (a, b) => a.or(b),
            };
        }
        Ok((all, first))
    })
}

#[expect(clippy::print_stdout, reason = "a command's result")]
fn run(seeds: u64, from: u64, steps: usize) -> anyhow::Result<ExitCode> {
    let (all, found) = many(seeds, from, steps)?;
    if let Some(found) = found {
        println!("see it again: tidm-sim replay {} --steps {steps}", found.seed);
        return Ok(failed(&found));
    }
    println!("happenings {:?}", all.happenings);
    println!("negotiations {:?}", all.ends);
    println!("transfers {:?}, contracts ended {:?}", all.transfers, all.contracts_ended);
    println!(
        "data flows {:?}; bytes moved {}, tokens renewed {}, rested {}, resumed {}, errored {}",
        all.flows, all.moved, all.renewals, all.rested, all.resumed, all.errored
    );
    println!(
        "credential requests {:?}; memberships revoked {}, wallets asked {}, lists fetched {}, refused {:?}",
        all.issuances, all.memberships_revoked, all.exchanges, all.lists, all.denied
    );
    println!(
        "openings {}, crashes {}, refused starts {}",
        all.openings, all.crashes, all.refused_starts
    );
    println!(
        "{} seeds, {} happenings, {} finalized contracts, {} leases, 0 violations",
        all.seeds,
        all.happened(),
        all.contracts,
        all.leases
    );
    // One line that any runner can read: each world is a test.
    println!("{seeds} passed, 0 failed");
    let missing = all.missing();
    if !missing.is_empty() && seeds >= COVERED_BY {
        println!("never reached: {}", missing.join(", "));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
