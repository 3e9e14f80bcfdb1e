//! `cargo xtask test`: every check of the project as a list of timed stages, closed by one line of counts.
//!
//! A stage that fails does not stop the others, so one run tells everything that is wrong. Nothing passes in silence: a
//! test that says `SKIPPED: reason` is counted and listed as skipped, and a stage that ran no test has failed.

mod budget;
mod checks;
mod counts;
mod fuzz;
mod suites;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::counts::Counts;
use crate::shell::tail;
use crate::{conformance, place};

/// One stage: what it is called in `docs/testing.md` and on the command line, and what it does.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Context) -> Result<Counts>,
    /// Name or prefix of the environment variables whose absence made earlier tests skip and which this stage supplies.
    pub(crate) supplies: Option<&'static str>,
}

/// In order: what is quick and what others build on comes first; what suffers under load comes last.
pub(crate) const STAGES: &[Stage] = &[
    Stage { name: "fmt", run: checks::fmt, supplies: None },
    Stage { name: "tidy", run: checks::tidy, supplies: None },
    Stage { name: "clippy", run: checks::clippy, supplies: None },
    Stage { name: "deny", run: checks::deny, supplies: None },
    Stage { name: "build", run: checks::build, supplies: None },
    Stage { name: "tests", run: suites::workspace, supplies: None },
    Stage { name: "postgres", run: suites::postgres, supplies: Some("TIDM_TEST_POSTGRES") },
    Stage { name: "s3", run: suites::s3, supplies: Some("TIDM_TEST_S3") },
    Stage { name: "sim", run: suites::sim, supplies: None },
    Stage { name: "demo", run: suites::demo, supplies: None },
    Stage { name: "tck-dsp", run: conformance::dsp, supplies: None },
    Stage { name: "tck-dcp", run: conformance::dcp, supplies: None },
    Stage { name: "tck-dps", run: conformance::dps, supplies: None },
    Stage { name: "fuzz", run: fuzz::all, supplies: None },
];

/// What a stage may know.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    /// Where the current stage writes everything it sees.
    pub(crate) log: PathBuf,
    /// The full numbers instead of the short ones.
    pub(crate) long: bool,
}

struct Options {
    long: bool,
    list: bool,
    only: Vec<String>,
}

struct Finished {
    stage: &'static Stage,
    counts: Counts,
}

/// Runs the stages asked for; fails when anything failed.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let options = options(args)?;
    let root = place::root()?;
    let budgets = budget::read(&root.join("docs/testing.md"))?;
    if options.list {
        for stage in STAGES {
            println!("{:<10} {} s", stage.name, budget::of(&budgets, stage.name)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let target = place::target()?;
    let logs = target.join("test-logs");
    println!("logs in {}", logs.display());
    let started = Instant::now();
    let mut finished = Vec::new();
    for stage in STAGES
        .iter()
        .filter(|stage| options.only.is_empty() || options.only.iter().any(|n| n == stage.name))
    {
        let log = logs.join(format!("{}.log", stage.name));
        if log.exists() {
            std::fs::remove_file(&log)?;
        }
        let context =
            Context { root: root.clone(), target: target.clone(), log, long: options.long };
        let limit = Duration::from_secs(budget::of(&budgets, stage.name)?);
        finished.push(Finished { stage, counts: run(stage, &context, limit) });
    }
    let seconds = started.elapsed().as_secs_f64();
    let limit = budget::of(&budgets, "total")?;
    println!("{:<10} {seconds:.0} s of {limit} s", "total");
    Ok(close(&finished))
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { long: false, list: false, only: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--long" => options.long = true,
            "--list" => options.list = true,
            "--only" => {
                let name = args.next().context("--only wants the name of a stage")?;
                if !STAGES.iter().any(|stage| stage.name == name) {
                    let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
                    bail!("there is no stage `{name}`; the stages are: {}", names.join(", "));
                }
                options.only.push(name.clone());
            }
            other => bail!(
                "`cargo xtask test` does not know `{other}`; it knows --long, --only STAGE and --list"
            ),
        }
    }
    Ok(options)
}

fn run(stage: &Stage, context: &Context, limit: Duration) -> Counts {
    println!("{:<10} …", stage.name);
    let started = Instant::now();
    let counts = (stage.run)(context).unwrap_or_else(|error| Counts::failure(format!("{error:#}")));
    let took = started.elapsed();
    let verdict = if counts.failed > 0 { "FAILED" } else { "ok" };
    let over = if took > limit { "  OVER BUDGET" } else { "" };
    println!(
        "{:<10} {verdict}: {} passed, {} failed, {} skipped; {:.1} s of {} s{over}",
        stage.name,
        counts.passed,
        counts.failed,
        counts.skips.len(),
        took.as_secs_f64(),
        limit.as_secs()
    );
    if counts.failed > 0 {
        show_failure(&counts, &context.log);
    }
    counts
}

/// What went wrong, set off so that no line of it can be taken for one of ours.
fn show_failure(counts: &Counts, log: &Path) {
    let written = std::fs::read_to_string(log).unwrap_or_default();
    let end = tail(&written);
    let text = if counts.report.trim().is_empty() { &end } else { &counts.report };
    for line in text.lines() {
        println!("  | {line}");
    }
    println!("  | full log: {}", log.display());
}

/// Lists the skips with their reasons and prints the closing line.
fn close(finished: &[Finished]) -> ExitCode {
    let passed: u64 = finished.iter().map(|done| done.counts.passed).sum();
    let failed: u64 = finished.iter().map(|done| done.counts.failed).sum();
    let skips = remaining_skips(finished);
    for skip in &skips {
        println!("skipped: {skip}");
    }
    println!("{passed} passed, {failed} failed, {} skipped", skips.len());
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Skips of tests that no later stage ran after all: a test that skipped for want of PostgreSQL has run by then if the
/// stage that supplies PostgreSQL ran.
fn remaining_skips(finished: &[Finished]) -> Vec<String> {
    let supplied: Vec<&str> = finished.iter().filter_map(|done| done.stage.supplies).collect();
    let all = finished
        .iter()
        .flat_map(|done| done.counts.skips.iter().map(move |skip| (done.stage, skip)));
    all.filter(|(stage, skip)| {
        stage.supplies.is_some() || !supplied.iter().any(|name| skip.contains(name))
    })
    .map(|(stage, skip)| format!("{}: {skip}", stage.name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str) -> &'static Stage {
        STAGES.iter().find(|stage| stage.name == name).unwrap()
    }

    #[test]
    fn every_stage_has_a_budget_and_every_budget_a_stage() {
        let budgets = budget::read(&place::root().unwrap().join("docs/testing.md")).unwrap();
        let mut named: Vec<&str> = budgets.iter().map(|(name, _)| name.as_str()).collect();
        let mut wanted: Vec<&str> =
            STAGES.iter().map(|stage| stage.name).chain(["total"]).collect();
        named.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(named, wanted);
    }

    #[test]
    fn a_skip_that_a_later_stage_made_good_is_not_listed() {
        let skips = vec!["a: TIDM_TEST_POSTGRES is not set".to_owned(), "b: no TPM".to_owned()];
        let first = Finished {
            stage: stage("tests"),
            counts: Counts { passed: 3, skips, ..Counts::default() },
        };
        assert_eq!(remaining_skips(std::slice::from_ref(&first)).len(), 2);
        let later = Finished {
            stage: stage("postgres"),
            counts: Counts { passed: 1, ..Counts::default() },
        };
        assert_eq!(remaining_skips(&[first, later]), ["tests: b: no TPM"]);
    }

    #[test]
    fn a_skip_of_the_supplying_stage_itself_stays() {
        let skips = vec!["a: TIDM_TEST_POSTGRES is not set".to_owned()];
        let only =
            Finished { stage: stage("postgres"), counts: Counts { skips, ..Counts::default() } };
        assert_eq!(remaining_skips(&[only]).len(), 1);
    }

    #[test]
    fn wrong_options_are_told() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(options(&words("--only nothing")).is_err());
        assert!(options(&words("--only")).is_err());
        assert!(options(&words("--quick")).is_err());
        assert!(options(&words("--long --only fmt --only tidy")).unwrap().long);
    }
}
