//! One evaluation with its explanation: a policy of twenty constraints on as many matters, and an `or` of 262 pairs of our
//! own, as many as the longest policy of the ODRL test suite has.
//!
//! Never a decision that nobody looks at: each must be a yes, which here takes all constraints of the one; of the other every pair is
//! looked at, wherever the one that holds stands.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use tidm_space::id::Id;
use tidm_space::lang::Lang;
use tidm_space::policy::compile::understand;
use tidm_space::policy::eval::{Facts, Request, Truth, evaluate};
use tidm_space::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use tidm_space::policy::terms::Topic;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;

use crate::figure::{Goal, Report, Times};

const NOW: &str = "2024-02-12T11:20:10.999Z";
const ROUNDS: usize = 20_000;
const COMPILES: usize = 200;

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
    let terms = understand(&policy).map_err(|why| anyhow!("{what}: {why:?}"))?;
    let compile = || {
        let one = Instant::now();
        drop(black_box(understand(black_box(&policy))));
        one.elapsed()
    };
    let compiled = Times::new((0..COMPILES).map(|_| compile()).collect());
    let now = Time::parse(NOW)?;
    let early = Time::parse("2024-02-01T00:00:00Z")?;
    let (regions, roles) = (["CN-32", "CN"], ["consumer"]);
    let topics = [(Topic::Region, &regions[..]), (Topic::Role, &roles[..])];
    let (uses, events) = ([early], [("urn:release", early)]);
    let request = Request {
        purpose: Some("p7"),
        uses_so_far: 1,
        first_use_at: Some(early),
        agreed_at: Some(early),
        more: Facts {
            topics: &topics,
            network: Some(Ipv4Addr::new(10, 1, 2, 3).into()),
            version: Some("2.1"),
            events: Some(&events),
            uses_at: Some(&uses),
            metered: Some(Duration::from_secs(60)),
            bytes: Some(4096),
            records: Some(100),
            group_uses: Some(3),
            ..Facts::default()
        },
        ..Request::new(now, Use::Query, "did:web:me")
    };
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
    report.add(&format!("{what}, compiled, p50"), compiled.at(0.5), "ms", Goal::None);
    Ok(())
}

fn clock(op: Operator, day: usize) -> Constraint {
    let at = format!("2024-{:02}-{:02}T09:00:00Z", day / 28 % 12 + 1, day % 28 + 1);
    Atomic::new(Operand::DateTime, op, Value::text(at)).into()
}

/// One condition on each of twenty matters; a permission takes all of them.
fn twenty() -> Vec<Constraint> {
    use Operand as L;
    use Operator as O;
    let purposes = (0..20).map(|it| Value::text(format!("p{it}"))).collect();
    let said = [
        (L::DateTime, O::Lteq, "2024-06-30T00:00:00Z"),
        (L::Count, O::Lteq, "5"),
        (L::Recipient, O::Eq, "did:web:me"),
        (L::ElapsedTime, O::Lteq, "P3M"),
        (L::DelayPeriod, O::Gteq, "P1D"),
        (L::KindOfUse, O::Eq, "query"),
        (L::Enforcement, O::Gteq, "E2"),
        (L::TimeWindow, O::Eq, "Mon-Fri 08:00/18:00Z"),
        (L::MeteredTime, O::Lteq, "PT10H"),
        (L::TimeInterval, O::Eq, "PT1H"),
        (L::Frequency, O::Lteq, "5/P1D"),
        (L::DataSize, O::Lteq, "1000000"),
        (L::RecordCount, O::Lteq, "5000"),
        (L::GroupCount, O::Lteq, "100"),
        (L::Network, O::IsAnyOf, "10.0.0.0/8"),
        (L::Version, O::Gteq, "2"),
        (L::Event, O::Gteq, "urn:release"),
        (L::Spatial, O::IsPartOf, "CN"),
        (L::Role, O::Eq, "consumer"),
    ];
    let mut all: Vec<Constraint> = said
        .into_iter()
        .map(|(left, op, right)| Atomic::new(left, op, Value::text(right)).into())
        .collect();
    all.push(Atomic::new(L::Purpose, O::IsAnyOf, Value::List(purposes)).into());
    all
}

fn pairs(n: usize) -> Constraint {
    let pair = |it| Constraint::And(vec![clock(Operator::Gt, it), clock(Operator::Lt, it + 1)]);
    Constraint::Or((0..n).map(pair).collect())
}
