//! How long one evaluation takes: a policy of twenty constraints, and the `or` of 262 pairs that the ODRL test suite has.
//!
//! Prints figures and judges none: `cargo bench -p tidm-space --bench policy`.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::hint::black_box;
use std::time::Instant;

use tidm_space::id::Id;
use tidm_space::policy::compile::{Refusal, understand};
use tidm_space::policy::eval::{Request, Truth, evaluate};
use tidm_space::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;

const NOW: &str = "2024-02-12T11:20:10.999Z";
const ROUNDS: u32 = 20_000;

fn main() -> Result<(), Vec<Refusal>> {
    measured("twenty constraints", twenty())?;
    measured("an or of 262 pairs", vec![pairs(262)])
}

/// Decision with its explanation; with all words made as well, as a person would read them.
fn measured(what: &str, constraints: Vec<Constraint>) -> Result<(), Vec<Refusal>> {
    let (Ok(id), Ok(now)) = (Id::parse("urn:speed"), Time::parse(NOW)) else {
        return Ok(());
    };
    let mut policy = Policy::new(id, Kind::Set);
    policy.permissions = vec![Rule::new(Action::Use, constraints)];
    let terms = understand(&policy)?;
    let request = Request { purpose: Some("p7"), ..Request::new(now, Use::Plain, "did:web:me") };
    assert_eq!(evaluate(&terms, &request).why.truth, Truth::Yes, "{what}");
    let from = Instant::now();
    for _ in 0..ROUNDS {
        drop(black_box(evaluate(black_box(&terms), &request)));
    }
    let decided = from.elapsed() / ROUNDS;
    let from = Instant::now();
    let said = evaluate(&terms, &request).why.render(tidm_space::lang::Lang::Zh);
    println!("{what}: {decided:?} a decision, {:?} with {} bytes said", from.elapsed(), said.len());
    let from = Instant::now();
    drop(black_box(understand(&policy)?));
    println!("{what}: {:?} to compile", from.elapsed());
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
