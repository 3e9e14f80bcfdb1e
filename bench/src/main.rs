//! `tidm-bench [NAME…|all|--list] [--small] [--long]`: how fast this build is here, beside its goals and its peers.
//!
//! Never a figure alone: each stands with its goal, and a durable one with what the disk does by itself.

mod catalogue;
mod crawl;
mod figure;
mod flight;
mod idle;
mod lease;
mod loads;
mod log;
mod machine;
mod members;
mod negotiation;
mod offers;
mod pair;
mod policy;
mod program;
mod proof;
mod psi;
mod quotes;
mod revocation;
mod scan;
mod search;
mod size;
mod start;
mod table;
mod tdf;
mod transfer;
mod unbalanced;
mod values;
mod worker;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use futures::future::LocalBoxFuture;

use figure::Report;
use machine::{Disk, Machine};

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
        name: "tdf",
        what: "sealed files, sealed and opened by one core",
        durable: false,
        run: |report, _| Box::pin(tdf::run(report)),
    },
    Bench {
        name: "policy",
        what: "one decision about a use, with its reasons",
        durable: false,
        run: |report, _| Box::pin(policy::run(report)),
    },
    Bench {
        name: "quotes",
        what: "evidence of trusted hardware, appraised",
        durable: false,
        run: |report, _| Box::pin(quotes::run(report)),
    },
    Bench {
        name: "revocation",
        what: "a contract revoked, until both sides hold to it and nothing runs",
        durable: true,
        run: |report, _| Box::pin(revocation::run(report)),
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
        name: "loads",
        what: "negotiations at every load, and one greedy peer beside a modest one",
        durable: true,
        run: |report, _| Box::pin(loads::run(report)),
    },
    Bench {
        name: "idle",
        what: "10,000 started transfers from which nobody fetches",
        durable: false,
        run: |report, _| Box::pin(idle::run(report)),
    },
    Bench {
        name: "catalogue",
        what: "pages of a catalogue of 3,000 offers",
        durable: false,
        run: |report, _| Box::pin(catalogue::run(report)),
    },
    Bench {
        name: "crawl",
        what: "catalogues of 100 members with 10,000 offers each",
        durable: true,
        run: |report, _| Box::pin(crawl::run(report)),
    },
    Bench {
        name: "search",
        what: "searches among 1,000,000 offers of others",
        durable: false,
        run: |report, _| Box::pin(search::run(report)),
    },
    Bench {
        name: "start",
        what: "cold start and idle memory of `tidm serve`",
        durable: false,
        run: |report, _| Box::pin(start::run(report)),
    },
    Bench {
        name: "transfer",
        what: "one GiB over TLS, and the memory of the node that sends it",
        durable: false,
        run: |report, _| Box::pin(transfer::run(report)),
    },
    Bench {
        name: "scan",
        what: "a sealed table beside the same table in clear",
        durable: false,
        run: |report, _| Box::pin(scan::run(report)),
    },
    Bench {
        name: "flight",
        what: "rows of a result to a tool over Arrow Flight SQL, and to the consumer's node over HTTP",
        durable: false,
        run: |report, _| Box::pin(flight::run(report)),
    },
    Bench {
        name: "psi",
        what: "intersections of lists of 2^20 ids, beside SecretFlow's spu where TIDM_SPU_PYTHON names a Python with it",
        durable: false,
        run: |report, _| Box::pin(psi::run(report)),
    },
    Bench {
        name: "unbalanced",
        what: "a list of 10^5 ids matched with a table that was made before, from file to file",
        durable: false,
        run: |report, _| Box::pin(unbalanced::run(report)),
    },
    Bench {
        name: "worker",
        what: "a statement in a jailed worker beside the same engine in process",
        durable: false,
        run: |report, _| Box::pin(worker::run(report)),
    },
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    size::choose(&mut args);
    // Parts of this program that run by themselves, started by a bench.
    if args.first().is_some_and(|it| it == table::WORKER) {
        // Before any thread: a worker jails itself first.
        return tidm_sandbox::worker::main();
    }
    let done = match args.as_slice() {
        [part, dir, port] if part == idle::NODE => idle::node(dir.as_ref(), port),
        [part, dir, port] if part == transfer::NODE => transfer::node(dir.as_ref(), port),
        [part, port, offers] if part == members::MEMBERS => members::serve(port, offers),
        [part, dir, port, nodes] if part == crawl::CRAWLER => {
            crawl::node(dir.as_ref(), port, nodes)
        }
        [part, dir, offers] if part == search::SEARCHED => search::node(dir.as_ref(), offers),
        names => match run(names) {
            Ok(false) => return ExitCode::FAILURE,
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            figure::say(&format!("tidm-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A missed goal fails the program where the run can judge it: the release profile at full size.
fn passes(missed: usize) -> bool {
    let judges = size::is_full() && !cfg!(debug_assertions);
    let means = match (missed, judges) {
        (0, _) => "",
        (_, true) => ": failed",
        (_, false) => ": no verdict, which takes the release profile and the full size",
    };
    figure::say(&format!("\n{missed} goals missed{means}"));
    missed == 0 || !judges
}

/// Whether the goals were met; an error is what must not be at any speed, such as a lost contract.
fn run(args: &[String]) -> Result<bool> {
    let chosen: Vec<&Bench> = match args {
        [one] if one == "--list" => {
            for it in BENCHES {
                figure::say(&format!("{:<12} {}", it.name, it.what));
            }
            return Ok(true);
        }
        [] => BENCHES.iter().collect(),
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
    let mut missed = 0;
    Machine::read().show();
    for it in chosen {
        figure::say(&format!("\n{}: {}", it.name, it.what));
        let mut report = Report::new(it.name);
        if it.durable && disk.is_none() {
            disk = Some(Disk::measure(scratch.path())?);
        }
        let disk = disk.as_ref().filter(|_| it.durable);
        let quiet = Disk::default();
        if let Some(disk) = disk {
            disk.show();
        }
        runtime.block_on((it.run)(&mut report, disk.unwrap_or(&quiet))).with_context(|| it.name)?;
        missed += report.write(disk)?;
    }
    Ok(passes(missed))
}
