//! One row per rule of evaluation; plus: unknown never permits.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::compile::understand;
use crate::policy::usage::{Level, Use};
use crate::time::Time;
use crate::wire::odrl::OdrlPolicy;

mod properties;

const ME: &str = "did:web:me";

fn terms(permission: Json, more: Json) -> Terms {
    let mut policy = json!({"@id": "o", "@type": "Offer", "permission": permission});
    for (key, value) in more.as_object().unwrap() {
        policy[key] = value.clone();
    }
    understand(&OdrlPolicy::parse(policy).unwrap().model).unwrap()
}

fn atom(left: &str, op: &str, right: impl Into<Json>) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right.into()})
}

fn use_if(constraints: &[Json]) -> Terms {
    terms(json!([{"action": "use", "constraint": constraints}]), json!({}))
}

fn request() -> Request<'static> {
    Request::new(Time::parse("2026-06-01T00:00:00Z").unwrap(), Use::Query, ME)
}

fn answer(terms: &Terms, request: &Request<'_>) -> Truth {
    let decision = evaluate(terms, request);
    let truth = decision.why.truth;
    assert_eq!(matches!(decision.verdict, Verdict::Permit(_)), truth == Truth::Yes);
    assert_eq!(matches!(decision.verdict, Verdict::Unknown(_)), truth == Truth::Unknown);
    assert_eq!(decision.permitted().is_ok(), truth == Truth::Yes);
    truth
}

#[test]
fn facts_are_held_against_constraints() {
    use Truth::{No, Unknown, Yes};
    let day = |text: &str| Time::parse(&format!("{text}T00:00:00Z")).unwrap();
    let base = request;
    let until = atom("dateTime", "lteq", "2026-06-01T00:00:00Z");
    let before = atom("dateTime", "lt", "2026-06-01T00:00:00Z");
    let twice = atom("count", "lteq", "2");
    let month = atom("elapsedTime", "lteq", "P1M");
    let hour = atom("delayPeriod", "gteq", "PT1H");
    let purpose = atom("purpose", "isAnyOf", json!(["quality", "safety"]));
    let e2 = atom("tidm:enforcementLevel", "gteq", "E2");
    for (constraint, request, expected) in [
        (&until, base(), Yes),
        (&before, base(), No),
        (&twice, Request { uses_so_far: 1, ..base() }, Yes),
        (&twice, Request { uses_so_far: 2, ..base() }, No),
        (&twice, Request { uses_so_far: u64::MAX, ..base() }, No),
        (&month, base(), Yes),
        (&month, Request { first_use_at: Some(day("2026-05-01")), ..base() }, Yes),
        (&month, Request { first_use_at: Some(day("2026-04-30")), ..base() }, No),
        (&hour, base(), Unknown),
        (&hour, Request { agreed_at: Some(day("2026-05-31")), ..base() }, Yes),
        (&hour, Request { agreed_at: Some(base().now), ..base() }, No),
        (&purpose, base(), Unknown),
        (&purpose, Request { purpose: Some("safety"), ..base() }, Yes),
        (&purpose, Request { purpose: Some("resale"), ..base() }, No),
        (&atom("recipient", "eq", ME), base(), Yes),
        (&atom("recipient", "neq", ME), base(), No),
        (&atom("tidm:kindOfUse", "eq", "query"), base(), Yes),
        (&atom("tidm:kindOfUse", "eq", "plain"), base(), No),
        (&e2, base(), Yes),
        (&e2, Request::new(base().now, Use::SealedTable, ME), No),
        (&e2, Request { level: Level::E3, ..Request::new(base().now, Use::SealedTable, ME) }, Yes),
    ] {
        assert_eq!(
            answer(&use_if(std::slice::from_ref(constraint)), &request),
            expected,
            "{constraint} {request:?}"
        );
    }
}

#[test]
fn groups_are_three_valued() {
    use Truth::{No, Unknown, Yes};
    let (yes, no) = (atom("recipient", "eq", ME), atom("recipient", "neq", ME));
    let unknown = atom("purpose", "eq", "x");
    for (group, parts, expected) in [
        ("and", vec![&yes, &unknown], Unknown),
        ("and", vec![&no, &unknown], No),
        ("or", vec![&yes, &unknown], Yes),
        ("or", vec![&no, &unknown], Unknown),
        ("xone", vec![&yes, &no], Yes),
        ("xone", vec![&yes, &yes], No),
        ("xone", vec![&yes, &unknown], Unknown),
        ("xone", vec![&yes, &yes, &unknown], No),
        ("xone", vec![&no, &no], No),
        ("andSequence", vec![&yes, &yes], Yes),
    ] {
        assert_eq!(
            answer(&use_if(&[json!({ group: parts })]), &request()),
            expected,
            "{group} {parts:?}"
        );
    }
}

#[test]
fn rules_combine_towards_less() {
    use Truth::{No, Unknown, Yes};
    let unknown = json!([atom("purpose", "eq", "x")]);
    let all = json!([{"action": "use"}]);
    let export = Request { action: Action::Distribute, ..request() };
    let plain = Request::new(request().now, Use::Plain, ME);
    let paid = |paid| Request { paid, ..request() };
    let pay = json!({"action": "compensate", "constraint": [atom("payAmount", "eq", "1"), atom("tidm:currency", "eq", "CNY")]});
    for (permission, more, request, expected) in [
        (all.clone(), json!({}), request(), Yes),
        (all.clone(), json!({}), export.clone(), No),
        (json!([{"action": "use"}, {"action": "distribute"}]), json!({}), export.clone(), Yes),
        (json!([{"action": "distribute"}]), json!({}), request(), No),
        (json!([{"action": "read"}]), json!({}), request(), Yes),
        (json!([{"action": "read"}]), json!({}), plain.clone(), No),
        (json!([{"action": "display"}]), json!({}), request(), No),
        (json!([{"action": "aggregate"}]), json!({}), request(), Yes),
        (
            json!([{"action": "aggregate"}]),
            json!({}),
            Request::new(request().now, Use::SealedTable, ME),
            No,
        ),
        (
            json!([{"action": "use", "constraint": unknown}, {"action": "use"}]),
            json!({}),
            request(),
            Yes,
        ),
        (all.clone(), json!({"prohibition": [{"action": "read"}]}), request(), No),
        (all.clone(), json!({"prohibition": [{"action": "read"}]}), plain.clone(), No),
        (all.clone(), json!({"prohibition": [{"action": "distribute"}]}), plain, Yes),
        (
            all.clone(),
            json!({"prohibition": [{"action": "read", "constraint": unknown}]}),
            request(),
            Unknown,
        ),
        (
            all.clone(),
            json!({"prohibition": [{"action": "read", "constraint": unknown}], "conflict": "perm"}),
            request(),
            Yes,
        ),
        // A permission that may yet hold would win: nothing is certain.
        (
            json!([{"action": "use", "constraint": unknown}]),
            json!({"prohibition": [{"action": "read"}], "conflict": "perm"}),
            request(),
            Unknown,
        ),
        (all.clone(), json!({"assignee": "did:web:other"}), request(), No),
        (all, json!({"assignee": ME}), request(), Yes),
        (json!([{"action": "use", "duty": [pay]}]), json!({}), paid(None), Unknown),
        (json!([{"action": "use", "duty": [pay]}]), json!({}), paid(Some(false)), No),
        (json!([{"action": "use", "duty": [pay]}]), json!({}), paid(Some(true)), Yes),
    ] {
        assert_eq!(
            answer(&terms(permission.clone(), more.clone()), &request),
            expected,
            "{permission} {more}"
        );
    }
}

/// One conflict makes the whole policy void, whichever act is asked for (ODRL §2.10); the other strategies settle it where it is.
#[test]
fn one_conflict_voids_the_whole_policy() {
    use Truth::{No, Unknown, Yes};
    let (read, print, export) = (Action::Read, Action::Print, Action::Distribute);
    let permission = json!([{"action": "use"}, {"action": "distribute"}]);
    let ban =
        |action: &str| json!([{"action": action, "constraint": [atom("purpose", "eq", "b")]}]);
    for (banned, purpose, asked, [invalid, prohibit, perm]) in [
        ("read", Some("a"), &read, [Yes, Yes, Yes]),
        ("read", Some("a"), &print, [Yes, Yes, Yes]),
        ("read", Some("b"), &read, [No, No, Yes]),
        ("read", Some("b"), &print, [No, Yes, Yes]),
        ("read", Some("b"), &export, [No, Yes, Yes]),
        ("read", None, &read, [Unknown, Unknown, Yes]),
        ("read", None, &print, [Unknown, Yes, Yes]),
        // Acts that do not overlap with what is permitted are in conflict with nothing.
        ("sell", Some("b"), &print, [Yes, Yes, Yes]),
    ] {
        for (strategy, expected) in
            [("", invalid), ("invalid", invalid), ("prohibit", prohibit), ("perm", perm)]
        {
            let mut more = json!({"prohibition": ban(banned)});
            if !strategy.is_empty() {
                more["conflict"] = json!(strategy);
            }
            let asked = Request { purpose, action: asked.clone(), ..request() };
            let got = answer(&terms(permission.clone(), more), &asked);
            assert_eq!(got, expected, "{strategy} {banned} {purpose:?} {:?}", asked.action);
        }
    }
    // Where the permission does not hold there is no conflict, and nobody else is hit.
    let mine = json!([{"action": "use", "constraint": [atom("recipient", "eq", "did:web:other")]},
        {"action": "print"}]);
    let it = terms(mine, json!({"prohibition": [{"action": "read"}]}));
    assert_eq!(answer(&it, &Request { action: Action::Print, ..request() }), Yes);
    let both = terms(json!([{"action": "use"}]), json!({"prohibition": [{"action": "read"}]}));
    let print = Request { action: Action::Print, ..request() };
    let why = evaluate(&both, &print).why.render(Lang::En);
    assert!(why.contains("✗ permission[0] and prohibition[0] do not conflict"), "{why}");
}

/// A deadline of which nobody knows whether it is over leaves it open.
#[test]
fn deadlines_that_nobody_knows_leave_it_open() {
    let owed = json!({"obligation": [{"action": "inform", "constraint": [atom("delayPeriod", "lteq", "PT1H")]}]});
    let it = terms(json!([{"action": "use"}]), owed);
    let deeds = [("obligation[0]", Deed::Open)];
    let more = Facts { deeds: &deeds, ..Facts::default() };
    for (agreed, expected) in
        [(None, Truth::Unknown), (Some(request().now), Truth::Yes), (Some(Time::ZERO), Truth::No)]
    {
        assert_eq!(answer(&it, &Request { agreed_at: agreed, more, ..request() }), expected);
    }
}

#[test]
fn a_permit_carries_its_limits() {
    let it = use_if(&[
        atom("tidm:columns", "isAnyOf", json!(["t", "p"])),
        atom("tidm:minGroup", "gteq", "5"),
    ]);
    let limits = evaluate(&it, &request()).permitted().unwrap();
    assert_eq!((limits.columns.unwrap().len(), limits.min_group), (2, Some(5)));
    let (good, bad) = (["t".to_owned()], ["t".to_owned(), "secret".to_owned()]);
    assert_eq!(answer(&it, &Request { columns: Some(&good), ..request() }), Truth::Yes);
    assert_eq!(answer(&it, &Request { columns: Some(&bad), ..request() }), Truth::No);
}

#[test]
fn a_denial_names_rule_and_fact_in_both_languages() {
    let it = use_if(&[atom("count", "lteq", "2"), atom("purpose", "eq", "quality")]);
    let request = Request { uses_so_far: 2, ..request() };
    let decision = evaluate(&it, &request);
    let (zh, en) = (decision.why.render(Lang::Zh), decision.why.render(Lang::En));
    assert!(
        zh.contains("✗ 最多使用 2 次（事实：#3）")
            && zh.contains("? 用途仅限：quality（事实：未知）"),
        "{zh}"
    );
    assert!(
        en.contains("✗ at most 2 uses (fact: #3)")
            && en.contains("? purpose only: quality (fact: unknown)"),
        "{en}"
    );
    let fault = decision.permitted().unwrap_err();
    assert!(
        matches!(&fault, Fault::Denied { code: "policy.denied", rule, .. } if rule == "permission[0]"),
        "{fault}"
    );
    // What a caller gets says the same in both languages, and whose word each reason is where several rules say no.
    let two = terms(
        json!([{"action": "use", "constraint": [atom("count", "lteq", "2")]}]),
        json!({"prohibition": [{"action": "use", "constraint": [atom("recipient", "eq", ME)]}], "conflict": "prohibit"}),
    );
    let Err(Fault::Denied { reason, zh: Some(zh), .. }) = evaluate(&two, &request).permitted()
    else {
        panic!("denied")
    };
    for place in ["permission[0]", "prohibition[0]"] {
        assert!(
            reason.contains(&format!("{place}: ")) && zh.contains(&format!("{place}：")),
            "{reason} {zh}"
        );
    }
    assert!(reason.contains("at most 2 uses") && zh.contains("最多使用 2 次"), "{reason} {zh}");
}

proptest! {
    /// Losing a fact never turns a no into a yes.
    #[test]
    fn ignorance_never_permits(
        shape in proptest::collection::vec((0..3_usize, 0..4_usize), 1..6),
        purpose in proptest::option::of("[ab]"),
        agreed in proptest::bool::ANY,
    ) {
        let atoms = [
            atom("purpose", "eq", "a"),
            atom("purpose", "neq", "b"),
            atom("delayPeriod", "gteq", "PT1H"),
            atom("recipient", "eq", ME),
        ];
        let group = |g: usize, i: usize| match g {
            0 => json!({"or": [atoms[i], atoms[(i + 1) % 4]]}),
            1 => json!({"xone": [atoms[i], atoms[(i + 2) % 4]]}),
            _ => atoms[i].clone(),
        };
        let it = use_if(&shape.iter().map(|(g, i)| group(*g, *i)).collect::<Vec<_>>());
        let known = Request { purpose: purpose.as_deref(), agreed_at: agreed.then_some(Time::ZERO), ..request() };
        let ignorant = Request { purpose: None, agreed_at: None, ..known.clone() };
        if answer(&it, &ignorant) == Truth::Yes {
            prop_assert_eq!(answer(&it, &known), Truth::Yes);
        }
    }
}
