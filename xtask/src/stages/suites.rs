//! Stages that run the project's own tests: alone, against servers, and in the simulator.

use std::num::NonZero;

use anyhow::Result;

use crate::servers::postgres::Postgres;
use crate::servers::s3::S3;
use crate::shell::{Call, tail};
use crate::stages::counts::{cargo_test, closing_line};
use crate::stages::{Context, Counts};
use crate::{data, demo, tools};

/// Simulated seeds: some hundreds in every run, the number of a release check with `--long`.
const SEEDS: (&str, &str) = ("300", "10000");

/// Jobs of private set intersection that are started from both ends in any order, with `--long`; else the test's own number.
const STARTS: &str = "1000";

/// Tests at a time for each core: most of those that take long wait for a clock or a peer.
const TESTS_PER_CORE: usize = 2;

/// Unit and integration tests of the whole workspace, the short walk and the killed nodes among them.
pub(crate) fn workspace(context: &Context) -> Result<Counts> {
    let long = if context.long { "1" } else { "0" };
    let python = tools::python(&context.log)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let at_a_time = cores.saturating_mul(TESTS_PER_CORE).to_string();
    let mut call = cargo_test_call(context).arg("--workspace").env("TIDM_LONG", long);
    call = call.env("RUST_TEST_THREADS", at_a_time);
    if context.long {
        call = call.env("TIDM_STARTS", STARTS);
    }
    if let Some(spu) = tools::spu(&context.log) {
        call = call.env("TIDM_SPU_PYTHON", spu.display().to_string());
    }
    if let Some(oidc) = tools::oidc(&context.log) {
        call = call.env("TIDM_TEST_OIDC", oidc.display().to_string());
    }
    tools::tpm(&context.log);
    run_tests(context, call.env("TIDM_PYTHON", python.display().to_string()), "")
}

/// The tests of stores again, on PostgreSQL, and replicas that share one.
pub(crate) fn postgres(context: &Context) -> Result<Counts> {
    let server = Postgres::start(&context.log)?;
    let long = if context.long { "1" } else { "0" };
    let call = library_tests(context).args(["--bins", "--test", "walk"]).env("TIDM_LONG", long);
    let call = call.env("TIDM_TEST_POSTGRES", server.url());
    run_tests(context, call, "store")
}

/// The node's object tests again, on an S3 server, and deliveries into and out of its bucket.
pub(crate) fn s3(context: &Context) -> Result<Counts> {
    let server = S3::start(&context.log)?;
    let mut call = library_tests(context).args(["--test", "it"]);
    for (name, value) in server.env() {
        call = call.env(name, value);
    }
    run_tests(context, call, "object")
}

/// Simulated seeds of the deterministic simulator, which closes with `N passed, N failed`.
pub(crate) fn sim(context: &Context) -> Result<Counts> {
    let seeds = if context.long { SEEDS.1 } else { SEEDS.0 };
    let build = Call::new("cargo").dir(&context.root).args([
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--bin",
        "tidm-sim",
    ]);
    let (built, written) = build.logged_output(&context.log)?;
    if !built {
        return Ok(Counts::failure(tail(&written)));
    }
    let call = Call::new(context.target.join("debug/tidm-sim"))
        .dir(&context.root)
        .args(["run", "--seeds", seeds]);
    let (success, written) = call.logged_output(&context.log)?;
    let Some(mut counts) = closing_line(&written) else {
        return Ok(Counts::failure(format!(
            "the simulator printed no closing line:\n{}",
            tail(&written)
        )));
    };
    if !success && counts.failed == 0 {
        counts.add(Counts::failure(String::new()));
    }
    if counts.failed > 0 {
        counts.report = tail(&written);
    }
    Ok(counts)
}

/// The walk of `cargo xtask demo`, over look-alikes of its data, so that it needs no network: as many passed as it has steps.
pub(crate) fn demo(context: &Context) -> Result<Counts> {
    let build = Call::new("cargo").dir(&context.root);
    let build = build.args(["build", "--quiet", "--locked", "--workspace", "--bin", "tidm"]);
    let (built, written) = build.logged_output(&context.log)?;
    if !built {
        return Ok(Counts::failure(tail(&written)));
    }
    let items = data::provide(None, true, &|_| {})?;
    let call = demo::walk(context.target.join("debug/tidm"), &items)?.args(["--lang", "en"]);
    let (success, written) = call.logged_output(&context.log)?;
    match walked(&written).filter(|_| success) {
        Some(passed) => Ok(Counts { passed, ..Counts::default() }),
        None => Ok(Counts::failure(tail(&written))),
    }
}

/// How many steps the report says were walked.
fn walked(written: &str) -> Option<u64> {
    let line = written.lines().find(|line| line.contains(" steps in "))?;
    line.trim_start_matches("* ").split(' ').next()?.parse().ok().filter(|steps| *steps > 0)
}

/// The whole workspace's selection, so that Cargo settles on the same features and compiles no dependency again.
fn library_tests(context: &Context) -> Call {
    cargo_test_call(context).args(["--workspace", "--lib"])
}

fn cargo_test_call(context: &Context) -> Call {
    Call::new("cargo").dir(&context.root).args(["test", "--locked", "--no-fail-fast"])
}

/// Runs tests whose path contains `filter` and counts them; a run without any test, or one that did not compile, failed.
fn run_tests(context: &Context, call: Call, filter: &str) -> Result<Counts> {
    let mut call = call;
    if !filter.is_empty() {
        call = call.arg(filter);
    }
    let (success, written) = call.args(["--", "--show-output"]).logged_output(&context.log)?;
    let mut counts = cargo_test(&written);
    if !success && counts.failed == 0 {
        counts.add(Counts::failure(tail(&written)));
    } else if counts.passed + counts.failed == 0 {
        counts.add(Counts::failure(format!("no test ran for `{filter}`\n{}", tail(&written))));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_without_its_last_line_is_none() {
        assert_eq!(walked("x\n* 43 steps in 2.1 s\n"), Some(43));
        for text in ["", "* 0 steps in 2.1 s", "* many steps in 2.1 s"] {
            assert_eq!(walked(text), None, "{text}");
        }
    }
}
