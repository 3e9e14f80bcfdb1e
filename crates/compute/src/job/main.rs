//! The program around a job: an order on stdin, events on stdout, an exit code.
//!
//! | argument | stdin | stdout |
//! |---|---|---|
//! | `job` | an [`Order`], one line of JSON | events, the last one a report or an error |
//! | `job attached` | the same; stays open, and its end is the job's | the same |
//! | `table`, `table attached` | a [`table::Order`], one line of JSON | the same |
//! | `many`, `many attached` | a [`many::Order`] | events, as for `job` |
//! | `part` | what a coordinator tells its worker | events |
//! | `join` | the same ([`super::workers::Start`]), by whoever joins a job from another machine | events |
//! | `call` | a socket to a process in its jail | |
//! | `local …` | | both parties on this machine: one JSON object |
//!
//! Exit codes: 0 done, 1 failed (the last event says why), 2 called wrongly.

use std::io::{BufRead as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use zeroize::Zeroizing;

use super::call;
use super::failure::Failure;
use super::jail;
use super::limits::MAX_ORDER_BYTES;
use super::local;
use super::many;
use super::order::Order;
use super::party::Opened;
use super::progress::{Event, Tell, to_stdout};
use super::workers::{Host, Worker};
use crate::table;

/// Runs the program. `arguments` are those behind `host`'s.
pub fn worker_main(host: &Host, arguments: &[String]) -> ExitCode {
    let tell = to_stdout();
    let done = match arguments {
        [word] if word == "job" => job(host, &tell, false),
        [word, how] if word == "job" && how == "attached" => job(host, &tell, true),
        [word] if word == "table" => about_table(host, &tell, false),
        [word, how] if word == "table" && how == "attached" => about_table(host, &tell, true),
        [word] if word == "many" => many(host, &tell, false),
        [word, how] if word == "many" && how == "attached" => many(host, &tell, true),
        [word] if word == "part" || word == "join" => part(host, &tell),
        [word] if word == "call" => call::main(),
        [word, rest @ ..] if word == "local" => local::main(host, rest),
        _ => {
            tell(&Event::Error(
                Failure::Order("call it with job, table, many, join, part or local".to_owned())
                    .report(),
            ));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&Event::Error(failure.report()));
            ExitCode::FAILURE
        }
    }
}

/// The first line of stdin, within bounds.
fn line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_ORDER_BYTES).read_line(&mut line);
    read.map_err(|why| Failure::Order(why.to_string()))?;
    Ok(line)
}

fn job(host: &Host, tell: &Tell, attached: bool) -> Result<(), Failure> {
    let order = Order::of_json(&line()?)?;
    let mut opened = Opened::new(&order)?;
    // With several processes, this one never hears the peer: it starts those that do.
    let jail = match order.workers {
        1 => Some(jail::enter(&order, host, &mut opened.connector)?),
        _ => None,
    };
    // A thread: not before the jail.
    if attached {
        end_with_input();
    }
    let mut report =
        opened.run(&order, host, Arc::clone(tell), Arc::new(AtomicBool::new(false)))?;
    report.jail = jail.or(report.jail);
    tell(&Event::Report(Box::new(report)));
    Ok(())
}

fn about_table(host: &Host, tell: &Tell, attached: bool) -> Result<(), Failure> {
    let order = table::Order::of_json(&Zeroizing::new(line()?))?;
    let opened = table::Opened::new(&order)?.shut_in(host)?;
    // A thread: not before the jail.
    if attached {
        end_with_input();
    }
    let report = opened.run(Arc::clone(tell), Arc::new(AtomicBool::new(false)))?;
    tell(&Event::Report(Box::new(report)));
    Ok(())
}

fn many(host: &Host, tell: &Tell, attached: bool) -> Result<(), Failure> {
    let order = many::Order::of_json(&Zeroizing::new(line()?))?;
    let opened = many::Opened::new(&order, host)?;
    if attached {
        end_with_input();
    }
    let report = opened.run(Arc::clone(tell), Arc::new(AtomicBool::new(false)))?;
    tell(&Event::Report(Box::new(report)));
    Ok(())
}

fn part(host: &Host, tell: &Tell) -> Result<(), Failure> {
    let worker = Worker::new(&line()?, host)?;
    end_with_input();
    worker.work(tell)
}

/// A process whose starter was killed ends with it.
fn end_with_input() {
    std::thread::spawn(|| {
        // Nothing more comes; the end comes when whoever started this is gone.
        let mut rest = [0; 64];
        while matches!(std::io::stdin().lock().read(&mut rest), Ok(1..)) {}
        std::process::exit(1);
    });
}
