//! `tidm`: one program for a node and for the people who run it.
//!
//! Never holds a rule: `serve` starts a node, every other command is a thin client of a node's API.

mod cli;
mod client;
mod commands;
mod database;
mod demo;
mod events;
mod show;
mod whole;

use std::process::ExitCode;

use clap::Parser as _;
use tidm_node::jobs::matching::process;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if matches!(cli.command, cli::Command::Worker) {
        // Before any thread or runtime: the worker jails itself first.
        return tidm_sandbox::worker::main();
    }
    if let cli::Command::Compute { arguments } = &cli.command {
        return process::main(arguments);
    }
    if let cli::Command::Psi(commands::psi::Psi::Local(it)) = &cli.command {
        return process::main(&it.arguments());
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(it) => it,
        Err(error) => return show::trouble(&client::Trouble::Here(error.into()), &cli.global),
    };
    match runtime.block_on(commands::run(&cli)) {
        Ok(code) => code,
        Err(trouble) => show::trouble(&trouble, &cli.global),
    }
}

#[cfg(test)]
mod tests;
