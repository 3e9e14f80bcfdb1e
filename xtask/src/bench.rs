//! `cargo xtask bench`: builds release, which takes over twenty minutes the first time, and hands over to `tidm-bench`.

use std::process::ExitCode;

use anyhow::Result;

use crate::demo::{build, exit};
use crate::place;
use crate::shell::Call;
use crate::tools;

/// All arguments go to `tidm-bench`: a name, `--list`.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    println!("building release (over twenty minutes the first time)");
    let programs = build(&["tidm", "tidm-bench", "tidm-compute-worker"], true)?;
    let mut call =
        Call::new(programs.join("tidm-bench")).args(args).env("TIDM_BIN", programs.join("tidm"));
    // The peer of intersections, measured in the same run where this machine can have it.
    if let Some(spu) = tools::spu(&place::target()?.join("bench-spu.log")) {
        call = call.env("TIDM_SPU_PYTHON", spu.display().to_string());
    }
    exit(call.show()?)
}
