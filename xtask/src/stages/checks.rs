//! Stages that look at the source without running it.

use anyhow::Result;

use crate::shell::{Call, tail};
use crate::stages::{Context, Counts};
use crate::{tidy as rules, tools};

/// A call that passes or fails as a whole; the end of its output is the report.
fn check(context: &Context, call: &Call) -> Result<Counts> {
    let (success, written) = call.logged_output(&context.log)?;
    Ok(if success { Counts::success() } else { Counts::failure(tail(&written)) })
}

fn cargo(context: &Context) -> Call {
    Call::new("cargo").dir(&context.root)
}

pub(crate) fn fmt(context: &Context) -> Result<Counts> {
    check(context, &cargo(context).args(["fmt", "--all", "--check"]))
}

pub(crate) fn tidy(context: &Context) -> Result<Counts> {
    let violations = rules::check(&context.root)?;
    if violations.is_empty() {
        return Ok(Counts::success());
    }
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    Ok(Counts::failure(lines.join("\n")))
}

pub(crate) fn clippy(context: &Context) -> Result<Counts> {
    check(
        context,
        &cargo(context).args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )
}

pub(crate) fn deny(context: &Context) -> Result<Counts> {
    let program = tools::DENY.ensure(&context.log)?;
    let call = Call::new(program).dir(&context.root);
    check(context, &call.args(["--log-level", "error", "check", "bans", "licenses", "sources"]))
}

/// Compiles everything that the later stages run, so that their times are their own.
pub(crate) fn build(context: &Context) -> Result<Counts> {
    check(context, &cargo(context).args(["test", "--locked", "--workspace", "--no-run"]))
}
