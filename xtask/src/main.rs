//! Chores of the project, run as `cargo xtask …`: test, data, demo, bench, conformance, tidy.
//!
//! It installs what a fresh machine lacks through ordinary package clients, says what it does and fails with a reason a
//! person can act on. It must never contain logic of the product, nor grow dependencies that take long to compile.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks on its terminal"
)]

mod bench;
mod conformance;
mod data;
mod demo;
mod place;
mod servers;
mod shell;
mod stages;
mod tidy;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--long] [--only STAGE]... [--list]     run every check, each stage timed against docs/testing.md
  demo [--release] [--offline] [--keep] [--lang zh|en] [--dir DIR]   build tidm and walk through a data space
  data [--offline] [--json] [NAME]             get the sample data (or generate look-alikes)
  bench [NAME] [--list]                        build release and measure
  conformance [dsp|dcp|dps]...                 run the public test kits against nodes of ours
  tidy                                         check the rules of the house
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let outcome = match command {
        "test" => stages::command(rest),
        "demo" => demo::command(rest),
        "data" => data::command(rest),
        "bench" => bench::command(rest),
        "conformance" => conformance::command(rest),
        "tidy" => tidy::command(rest),
        "help" | "-h" | "--help" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(anyhow::anyhow!("unknown command `{other}`\n\n{USAGE}")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
