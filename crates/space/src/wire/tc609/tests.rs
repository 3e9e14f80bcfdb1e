//! Contracts as they are written down, every code of the dictionaries both ways, and what strangers may send.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::id::Id;
use crate::lang::Lang;
use crate::policy::compile::{compile, understand};
use crate::policy::eval::{Request, evaluate};
use crate::policy::model::{
    Action, Atomic, Conflict, Constraint as Ours, Kind as PolicyKind, Operand, Operator, Policy,
    Rule, Value,
};
use crate::policy::sentence::{build, tests::sentences};
use crate::policy::usage::Use;
use crate::tc609::code::ProductCode;
use crate::tc609::document::{
    Act, Clause, Constraint, Document, Expansion, Frame, Item, Name, Subject,
};
use crate::tc609::loss::{Kind, Loss};
use crate::tc609::words::{ACTIONS, CONSTRAINTS, ConstraintWord, Form, OPERATORS, OperatorWord};
use crate::time::Time;
use crate::wire::odrl;

mod hostile;
mod messages;
mod round_trip;

const FIXTURES: [(&str, &str, &str); 3] = [
    (
        "joint-modelling",
        include_str!("fixture/joint-modelling.json"),
        include_str!("fixture/joint-modelling.odrl.json"),
    ),
    ("purchase", include_str!("fixture/purchase.json"), include_str!("fixture/purchase.odrl.json")),
    (
        "informative",
        include_str!("fixture/informative.json"),
        include_str!("fixture/informative.odrl.json"),
    ),
];

fn fixture(name: &str) -> Document {
    let (_, text, _) = FIXTURES.iter().find(|it| it.0 == name).unwrap();
    parse(text.as_bytes()).unwrap()
}

/// The frame with one product.
fn frame() -> Frame {
    fixture("joint-modelling").frame
}

fn told(losses: &[Loss]) -> Vec<Json> {
    let told = |it: &Loss| {
        json!([it.place, it.term, format!("{:?}", it.kind), it.why(Lang::Zh), it.why(Lang::En)])
    };
    losses.iter().map(told).collect()
}

fn has_words(losses: &[Loss]) {
    for it in losses {
        assert!(!it.term.is_empty());
        assert!(!it.why(Lang::Zh).is_ascii() && it.why(Lang::En).is_ascii(), "{it:?}");
    }
}

#[test]
fn fixtures_are_read_written_and_translated() {
    let mut wrong = vec![];
    for (name, text, odrl) in FIXTURES {
        let document = parse(text.as_bytes()).unwrap();
        let written = to_json(&document);
        assert_eq!(written, serde_json::from_str::<Json>(text).unwrap(), "{name}");
        let (policy, losses) = from_tc609(&document).unwrap();
        has_words(&losses);
        let said = json!({ "policy": odrl::to_json(&policy), "losses": told(&losses) });
        let golden: Json = serde_json::from_str(odrl).unwrap_or_default();
        if said != golden {
            println!("{name}.odrl.json should be\n{said:#}\nend");
            wrong.push(name);
        }
        let (back, _) = to_tc609(&policy, &document.frame).unwrap();
        assert_eq!(back, document, "{name}");
        // The policy keeps its meaning in a message.
        let sent = odrl::parse(odrl::to_json(&policy).to_string().as_bytes()).unwrap();
        assert_eq!(sent.model, policy, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_has_no_word_of_ours_is_refused_by_name_when_signing() {
    let (policy, _) = from_tc609(&fixture("informative")).unwrap();
    let refused = understand(&policy).unwrap_err();
    for term in [
        "tc609:export",
        "tc609:count",
        "tc609:timeWindow",
        "tc609:logRecordSend",
        "tc609:dataSize",
        "tc609:frequency",
        "tc609:policyExpansion",
        "tc609:expansionItem:{\"x\":1}",
    ] {
        assert!(refused.iter().any(|it| it.term == term), "{term} in {refused:?}");
    }
    let (policy, _) = from_tc609(&fixture("purchase")).unwrap();
    let whole = understand(&policy).unwrap();
    assert_eq!(whole.price.map(|it| it.to_string()).as_deref(), Some("100.00 CNY"));
    assert_eq!(whole.summary.until, Time::parse("2026-09-02T15:59:59Z").ok());
}
