//! One evaluation with its explanation: a policy of twenty constraints, and the `or` of 262 pairs that the ODRL test suite has.
//!
//! Never a decision that nobody looks at: each must be a yes, which here takes all constraints of the one and the last of the other.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};

use tidm_space::id::Id;
use tidm_space::lang::Lang;
use tidm_space::policy::compile::understand;
use tidm_space::policy::eval::{Request, Truth, evaluate};
use tidm_space::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;

use crate::figure::{Goal, Report, Times};

const NOW: &str = "2024-02-12T11:20:10.999Z";
const ROUNDS: usize = 20_000;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    measured(report, "twenty constraints", twenty(), 0.020)?;
    measured(report, "an or of 262 pairs", vec![pairs(262)], 2.0)
}

/// `most`: milliseconds for a decision.
fn measured(
    report: &mut Report,
    what: &str,
    constraints: Vec<Constraint>,
    most: f64,
) -> Result<()> {
    let mut policy = Policy::new(Id::parse("urn:bench:policy")?, Kind::Set);
    policy.permissions = vec![Rule::new(Action::Use, constraints)];
    let started = Instant::now();
    let terms = understand(black_box(&policy)).map_err(|why| anyhow!("{what}: {why:?}"))?;
    let compiled = started.elapsed();
    let now = Time::parse(NOW)?;
    let request = Request { purpose: Some("p7"), ..Request::new(now, Use::Plain, "did:web:me") };
    ensure!(evaluate(&terms, &request).why.truth == Truth::Yes, "{what}: another decision");
    let once = || {
        let one = Instant::now();
        drop(black_box(evaluate(black_box(&terms), &request)));
        one.elapsed()
    };
    let times = Times::new((0..ROUNDS).map(|_| once()).collect());
    report.add(&format!("{what}, p50"), times.at(0.5), "ms", Goal::AtMost(most));
    report.add(&format!("{what}, p99"), times.at(0.99), "ms", Goal::None);
    let started = Instant::now();
    let said = evaluate(&terms, &request).why.render(Lang::Zh);
    let said_in = started.elapsed().as_secs_f64() * 1000.0;
    report.add(&format!("{what}, explained in Chinese"), said_in, "ms", Goal::None);
    report.note(&format!("{} bytes", said.len()));
    let compiled = compiled.as_secs_f64() * 1000.0;
    report.add(&format!("{what}, compiled"), compiled, "ms", Goal::None);
    Ok(())
}

fn clock(op: Operator, day: usize) -> Constraint {
    let at = format!("2024-{:02}-{:02}T09:00:00Z", day / 28 % 12 + 1, day % 28 + 1);
    Atomic::new(Operand::DateTime, op, Value::text(at)).into()
}

fn twenty() -> Vec<Constraint> {
    let purposes = (0..20).map(|it| Value::text(format!("p{it}"))).collect();
    let mut all: Vec<Constraint> = (0..18).map(|it| clock(Operator::Gteq, it)).collect();
    all.push(Atomic::new(Operand::Purpose, Operator::IsAnyOf, Value::List(purposes)).into());
    all.push(Atomic::new(Operand::Count, Operator::Lteq, Value::text("5")).into());
    all
}

fn pairs(n: usize) -> Constraint {
    let pair = |it| Constraint::And(vec![clock(Operator::Gt, it), clock(Operator::Lt, it + 1)]);
    Constraint::Or((0..n).map(pair).collect())
}
