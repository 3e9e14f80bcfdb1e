//! A bare worker for this crate's tests: what the shipped binary does under its hidden command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidm_sandbox::worker::main()
}
