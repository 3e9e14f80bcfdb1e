//! A bare worker for this crate's tests: what the shipped binary does under its hidden commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(tidm_node::jobs::matching::process::COMPUTE) {
        return tidm_node::jobs::matching::process::main(
            &std::env::args().skip(2).collect::<Vec<_>>(),
        );
    }
    tidm_sandbox::worker::main()
}
