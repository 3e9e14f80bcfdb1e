//! `cargo xtask bench`: builds release, which takes over twenty minutes the first time, and hands over to `tidm-bench`.

use std::process::ExitCode;

use anyhow::Result;

use crate::demo::{build, exit};
use crate::shell::Call;

/// All arguments go to `tidm-bench`: a name, `--list`.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    println!("building release (over twenty minutes the first time)");
    let programs = build(&["tidm", "tidm-bench"], true)?;
    let call =
        Call::new(programs.join("tidm-bench")).args(args).env("TIDM_BIN", programs.join("tidm"));
    exit(call.show()?)
}
