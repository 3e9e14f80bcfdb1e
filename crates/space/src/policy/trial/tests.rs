//! Explanations of six policies in both languages, word by word, and what a trial adds to an evaluation.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::*;
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::odrl::OdrlPolicy;

fn atom(left: &str, op: &str, right: &str) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

fn policy(rules: &Json) -> Policy {
    let mut it = json!({"@id": "urn:o", "@type": "Offer"});
    for (key, value) in rules.as_object().unwrap() {
        it[key] = value.clone();
    }
    OdrlPolicy::parse(it).unwrap().model
}

fn permits(constraints: &[Json]) -> Json {
    json!({"permission": [{"action": "use", "constraint": constraints}]})
}

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn request<'a>() -> Request<'a> {
    Request::new(at("2027-03-01T00:00:00Z"), Use::Query, "did:web:a.example")
}

type Ask = fn(&mut Request<'_>);
type Case = (&'static str, Json, Vec<(&'static str, Ask)>);

/// Name, policy, and requests that are tried against it.
fn cases() -> Vec<Case> {
    let until = || atom("dateTime", "lteq", "2027-06-30T00:00:00Z");
    vec![
        (
            "a number of uses until a date, small results",
            permits(&[
                atom("tidm:outputRows", "lteq", "100"),
                atom("count", "lteq", "10"),
                until(),
            ]),
            vec![
                ("third use", |it| it.uses_so_far = 2),
                ("eleventh use", |it| it.uses_so_far = 10),
                ("after the end", |it| it.now = Time::parse("2027-07-01T00:00:00Z").unwrap()),
                ("plain, where nobody sees results", |it| {
                    *it = Request::new(it.now, Use::Plain, "did:web:a.example");
                }),
            ],
        ),
        (
            "purposes",
            permits(&[atom("purpose", "isAnyOf", "quality")]),
            vec![
                ("declared", |it| it.purpose = Some("quality")),
                ("another", |it| it.purpose = Some("marketing")),
                ("none declared", |_| {}),
            ],
        ),
        (
            "alternatives",
            permits(&[json!({"or": [
                atom("recipient", "eq", "did:web:b.example"),
                {"and": [atom("recipient", "eq", "did:web:a.example"), atom("count", "lteq", "1")]}
            ]})]),
            vec![("first use", |_| {}), ("second use", |it| it.uses_so_far = 1)],
        ),
        (
            "a prohibition from a date on",
            json!({"conflict": "prohibit", "permission": [{"action": "use"}],
                "prohibition": [{"action": "read",
                    "constraint": [atom("dateTime", "gteq", "2027-02-01T00:00:00Z")]}]}),
            vec![
                ("before it", |it| it.now = Time::parse("2027-01-01T00:00:00Z").unwrap()),
                ("after it", |_| {}),
            ],
        ),
        (
            "paid first",
            json!({"permission": [{"action": "use", "duty": [{"action": "compensate",
                "constraint": [atom("payAmount", "eq", "100.00"), atom("tidm:currency", "eq", "CNY")]}]}]}),
            vec![
                ("paid", |it| it.paid = Some(true)),
                ("not paid", |it| it.paid = Some(false)),
                ("nobody knows", |_| {}),
            ],
        ),
        (
            "terms that a node does not sign",
            permits(&[atom("systemDevice", "eq", "urn:d")]),
            vec![("place unknown", |_| {})],
        ),
    ]
}

fn document() -> String {
    let mut out = String::new();
    for (name, rules, asks) in cases() {
        let policy = policy(&rules);
        for (what, ask) in asks {
            let mut request = request();
            ask(&mut request);
            for lang in [Lang::Zh, Lang::En] {
                let trial = try_out(&policy, &request, lang).unwrap();
                writeln!(out, "## {name}: {what}\n{trial}").unwrap();
            }
        }
    }
    out
}

#[test]
fn explanations_are_word_for_word_these() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/trial/golden.txt");
    let (is, should) = (std::fs::read_to_string(file).unwrap_or_default(), document());
    if is != should {
        let made = std::env::temp_dir().join("policy-trials.txt");
        std::fs::write(&made, &should).unwrap();
        panic!("policy/trial/golden.txt is not what the code says; {} is", made.display());
    }
}

/// A trial never says anything else than the gate's own evaluation, except that it also knows where terms cannot be kept.
#[test]
fn a_trial_is_the_evaluation() {
    for (name, rules, asks) in cases() {
        let policy = policy(&rules);
        let terms = understand(&policy).unwrap();
        for (what, ask) in asks {
            let mut request = request();
            ask(&mut request);
            let trial = try_out(&policy, &request, Lang::En).unwrap();
            let truth = evaluate(&terms, &request).why.truth;
            let kept = terms.unkeepable(request.kind).is_empty();
            let should = if kept { truth } else { Truth::No };
            assert_eq!(trial.verdict, should, "{name}: {what}");
            assert!(trial.lines.iter().any(|it| it.decided), "{name}: {what}");
            assert_eq!(trial.refused.is_empty(), compile(&policy).is_ok());
            assert_eq!(trial, try_out(&policy, &request, Lang::En).unwrap(), "no side effects");
        }
    }
}

#[test]
fn places_are_those_of_the_policy() {
    for (rules, uses, place) in [
        (
            permits(&[atom("tidm:minGroup", "gteq", "5"), atom("count", "lteq", "1")]),
            1,
            "permission[0].constraint[1]",
        ),
        (
            permits(&[
                json!({"and": [atom("tidm:minGroup", "gteq", "5"), atom("count", "lteq", "1")]}),
            ]),
            1,
            "permission[0].constraint[0].and[1]",
        ),
        (
            permits(&[json!({"xone": [atom("count", "lteq", "1"), atom("count", "lteq", "2")]})]),
            0,
            "permission[0].constraint[0].xone[1]",
        ),
        (
            json!({"conflict": "prohibit", "permission": [{"action": "use"}], "prohibition": [
                {"action": "display"}, {"action": "read", "constraint": [atom("count", "gt", "1")]}]}),
            1,
            "prohibition[1].constraint[0]",
        ),
    ] {
        let policy = policy(&rules);
        let mut request = request();
        request.uses_so_far = uses;
        let trial = try_out(&policy, &request, Lang::En).unwrap();
        assert_eq!(trial.verdict, Truth::No);
        let places: Vec<&str> = trial
            .lines
            .iter()
            .filter(|it| it.decided)
            .filter_map(|it| it.place.as_deref())
            .collect();
        assert!(places.contains(&place), "{places:?}\n{trial}");
        assert!(trial.headline.contains(place), "{}", trial.headline);
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let why = try_out(&policy(&permits(&[atom("x:moon", "eq", "full")])), &request(), Lang::En);
    assert_eq!(why.unwrap_err()[0].term, "x:moon");
}
