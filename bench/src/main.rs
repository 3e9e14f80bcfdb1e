//! `tidm-bench NAME…|all|--list`: how fast this build is here, beside its goals and its peers.
//!
//! Never a figure alone: each stands with its goal, and a durable one with what the disk does by itself.

mod catalogue;
mod figure;
mod lease;
mod log;
mod machine;
mod negotiation;
mod pair;
mod proof;
mod start;
mod values;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use futures::future::LocalBoxFuture;

use figure::Report;
use machine::Disk;

/// A bench, by the name it is called with.
struct Bench {
    name: &'static str,
    what: &'static str,
    /// Its operations wait for the disk.
    durable: bool,
    run: for<'a> fn(&'a mut Report, &'a Disk) -> LocalBoxFuture<'a, Result<()>>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "log",
        what: "facts into the evidence log",
        durable: true,
        run: |report, disk| Box::pin(log::run(report, disk)),
    },
    Bench {
        name: "proof",
        what: "verification of one receipt",
        durable: false,
        run: |report, _| Box::pin(proof::run(report)),
    },
    Bench {
        name: "lease",
        what: "leases granted by one gate",
        durable: true,
        run: |report, disk| Box::pin(lease::run(report, disk)),
    },
    Bench {
        name: "negotiation",
        what: "contracts between two nodes",
        durable: true,
        run: |report, disk| Box::pin(negotiation::run(report, disk)),
    },
    Bench {
        name: "catalogue",
        what: "pages of a catalogue of 3,000 offers",
        durable: false,
        run: |report, _| Box::pin(catalogue::run(report)),
    },
    Bench {
        name: "start",
        what: "cold start of the program in TIDM_BIN",
        durable: false,
        run: |report, _| Box::pin(start::run(report)),
    },
];

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            figure::say(&format!("tidm-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// `Ok(false)`: a goal was missed.
fn run(args: &[String]) -> Result<bool> {
    let chosen: Vec<&Bench> = match args {
        [] => bail!("name a bench, `all` or `--list`"),
        [one] if one == "--list" => {
            for it in BENCHES {
                figure::say(&format!("{:<12} {}", it.name, it.what));
            }
            return Ok(true);
        }
        [one] if one == "all" => BENCHES.iter().collect(),
        names => {
            let find = |name: &String| {
                let found = BENCHES.iter().find(|it| it.name == name);
                found.with_context(|| format!("no bench is called {name}; `--list` shows all"))
            };
            names.iter().map(find).collect::<Result<_>>()?
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let scratch = tempfile::tempdir_in(machine::scratch_dir()?)?;
    let mut disk = None;
    let mut all_met = true;
    for it in chosen {
        let mut report = Report::new(it.name);
        if it.durable && disk.is_none() {
            disk = Some(Disk::measure(scratch.path())?);
        }
        let quiet = Disk::default();
        let disk = disk.as_ref().unwrap_or(&quiet);
        if it.durable {
            disk.show();
        }
        runtime.block_on((it.run)(&mut report, disk)).with_context(|| it.name)?;
        all_met &= report.write(disk)?;
    }
    Ok(all_met)
}
