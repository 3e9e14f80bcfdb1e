//! `tidm-compute-worker job|part|local`: one party's part in a job of privacy computing. See `tidm_compute::job::main`.

use std::process::ExitCode;

use tidm_compute::job::{Host, worker_main};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    worker_main(&Host::default(), &arguments)
}
