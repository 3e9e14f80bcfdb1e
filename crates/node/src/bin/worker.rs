//! A bare worker for this crate's tests: what the shipped binary does under its hidden commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(tidm_node::serve::COMPUTE) {
        return tidm_compute::job::worker_main();
    }
    tidm_sandbox::worker::main()
}
