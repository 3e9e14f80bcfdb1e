//! What is found, and that sensible policies are left alone.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::sentence::template::templates;
use crate::wire::odrl::OdrlPolicy;

fn atom(left: &str, op: &str, right: &str) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

fn permits(constraints: &[Json]) -> Json {
    json!({"permission": [{"action": "use", "constraint": constraints}]})
}

fn policy(rules: &Json) -> Policy {
    let mut it = json!({"@id": "urn:o", "@type": "Offer"});
    for (key, value) in rules.as_object().unwrap() {
        it[key] = value.clone();
    }
    OdrlPolicy::parse(it).unwrap().model
}

fn now() -> Time {
    Time::parse("2027-01-01T00:00:00Z").unwrap()
}

/// `code place`, without the remarks on enforcement levels unless they are asked for.
fn found(rules: &Json, kinds: &[Use]) -> Vec<String> {
    let all = check(&policy(rules), now(), kinds);
    assert!(all.is_sorted_by_key(|it| it.severity));
    for it in &all {
        assert!(!it.en.is_empty() && !it.zh.is_ascii() && it.en.is_ascii(), "{it:?}");
        assert_eq!((it.text(Lang::Zh), it.text(Lang::En)), (&*it.zh, &*it.en));
    }
    all.iter().map(|it| format!("{} {}", it.code, it.place)).collect()
}

#[test]
fn impossible_conditions_are_found() {
    let t = |op: &str, at: &str| atom("dateTime", op, &format!("2027-{at}T00:00:00Z"));
    for (constraints, should) in [
        (
            vec![t("gteq", "06-01"), t("lteq", "05-01")],
            &["window.empty permission[0].constraint[1]"][..],
        ),
        (vec![t("gt", "06-01"), t("lt", "06-01")], &["window.empty permission[0].constraint[1]"]),
        (vec![t("gteq", "06-01"), t("lteq", "06-01")], &[]),
        (
            vec![atom("dateTime", "lteq", "2026-12-31T00:00:00Z")],
            &["window.past permission[0].constraint[0]"],
        ),
        (
            vec![t("lteq", "01-31"), atom("delayPeriod", "gteq", "P31D")],
            &["window.delay permission[0].constraint[1]"],
        ),
        (vec![t("lteq", "01-31"), atom("delayPeriod", "gteq", "P30D")], &[]),
        (vec![atom("count", "lteq", "0")], &["count.never permission[0].constraint[0]"]),
        (vec![atom("count", "lt", "1")], &["count.never permission[0].constraint[0]"]),
        (vec![atom("count", "lteq", "1")], &[]),
        (
            vec![atom("elapsedTime", "lteq", "P60M")],
            &["duration.months permission[0].constraint[0]"],
        ),
        (vec![atom("elapsedTime", "lteq", "PT60M")], &[]),
        (vec![atom("elapsedTime", "lt", "PT0S")], &["elapsed.never permission[0].constraint[0]"]),
        (
            vec![atom("purpose", "eq", "a"), atom("purpose", "eq", "b")],
            &["list.empty permission[0].constraint[1]"],
        ),
        (
            vec![atom("purpose", "eq", "a"), atom("purpose", "neq", "a")],
            &["list.empty permission[0].constraint[1]"],
        ),
        (
            vec![atom("tidm:kindOfUse", "eq", "query"), atom("tidm:kindOfUse", "eq", "plain")],
            &["list.empty permission[0].constraint[1]"],
        ),
        (
            vec![atom("tidm:columns", "eq", "a"), atom("tidm:columns", "eq", "b")],
            &["columns.empty permission[0].constraint[1]"],
        ),
        (vec![atom("tidm:outputRows", "lteq", "0")], &["limit.zero permission[0].constraint[0]"]),
        (
            vec![json!({"or": [atom("count", "lteq", "0"), atom("count", "lteq", "5")]})],
            &["alternative.never permission[0].constraint[0].or[0]"],
        ),
        (
            vec![json!({"or": [t("lteq", "03-01"), t("lteq", "04-01")]}), t("gteq", "05-01")],
            &["alternatives.never permission[0].constraint[0]"],
        ),
    ] {
        assert_eq!(found(&permits(&constraints), &[]), should, "{constraints:?}");
    }
}

/// Noise that would protect nothing is not signed; what is signed is kept by queries at the provider and by nothing else.
#[test]
fn noise_stands_whole_and_alone() {
    let budget = |it: &str| atom("tidm:privacyBudget", "lteq", it);
    let unit = |it: &str| atom("tidm:privacyUnit", "eq", it);
    let both = || vec![budget("1.5"), unit("worker;3;hours:0.1:0:60")];
    let with = |more: Vec<Json>| permits(&[both(), more].concat());
    let refused = |rules: &Json| -> Vec<String> {
        compile(&policy(rules)).err().into_iter().flatten().map(|it| it.term).collect()
    };
    let two = |other: Vec<Json>| json!({"permission": [{"action": "use", "constraint": both()}, {"action": "use", "constraint": other}]});
    const BUDGET: &[&str] = &["tidm:privacyBudget"];
    const UNIT: &[&str] = &["tidm:privacyUnit"];
    for (rules, terms) in [
        (permits(&[budget("1")]), BUDGET),
        (permits(&[unit("worker;3")]), UNIT),
        (with(vec![atom("tidm:minGroup", "gteq", "5")]), &["tidm:minGroup"]),
        (with(vec![atom("tidm:columns", "eq", "wage")]), UNIT),
        (with(vec![unit("worker;4")]), UNIT),
        (permits(&[budget("0"), unit("worker;3")]), BUDGET),
        (permits(&[budget("1e-3"), unit("worker;3")]), BUDGET),
        (permits(&[atom("tidm:privacyBudget", "gteq", "1"), unit("worker;3")]), BUDGET),
        (permits(&[json!({"or": both()})]), &["tidm:privacyBudget", "tidm:privacyUnit"]),
        // A second permission would lead around the budget; so would a longer list of columns.
        (two(vec![]), BUDGET),
        (two(vec![budget("2"), unit("worker;3;hours:0.1:0:60")]), BUDGET),
        (two([both(), vec![atom("tidm:columns", "eq", "wage")]].concat()), UNIT),
        (
            json!({"permission": [{"action": "use"}, {"action": "distribute", "constraint": both()}]}),
            BUDGET,
        ),
        (
            json!({"permission": [{"action": "use"}], "prohibition": [{"action": "use", "constraint": both()}]}),
            &["tidm:privacyBudget", "tidm:privacyUnit"],
        ),
    ] {
        assert_eq!(refused(&rules), terms, "{rules}");
    }
    for rules in [
        with(vec![]),
        with(vec![budget("2"), atom("tidm:columns", "eq", "hours")]),
        with(vec![atom("tidm:aggregatesOnly", "eq", "true"), atom("count", "lteq", "9")]),
        two(both()),
        json!({"permission": [{"action": "use", "constraint": both()}, {"action": "distribute"}]}),
    ] {
        let terms = compile(&policy(&rules)).unwrap();
        let kept: Vec<Use> =
            Use::ALL.into_iter().filter(|it| terms.unkeepable(*it).is_empty()).collect();
        assert_eq!(kept, [Use::Query], "{rules}");
        assert_eq!(terms.summary.limits.privacy.budget.map(|it| it.micro()), Some(1_500_000));
    }
    let weak = permits(&[budget("20"), unit("worker;3")]);
    assert_eq!(found(&weak, &[]), ["privacy.weak permission[0].constraint[0]"]);
}

#[test]
fn limits_on_matching_are_held_against_each_other() {
    let key = || atom("tidm:matchKey", "eq", "id");
    let it = |left: &str, op: &str, n: &str| atom(&format!("tidm:{left}"), op, n);
    for (constraints, should) in [
        (
            vec![key(), it("matchItems", "lteq", "100"), it("matchBudget", "lteq", "50")],
            &["match.budget permission[0].constraint[2]"][..],
        ),
        (
            vec![key(), it("matchItems", "lteq", "10"), it("minMatches", "gteq", "11")],
            &["match.least permission[0].constraint[2]"],
        ),
        (
            vec![
                key(),
                it("matchItems", "lteq", "100"),
                it("minMatches", "gteq", "11"),
                it("matchShare", "lteq", "10"),
            ],
            &["match.share permission[0].constraint[3]"],
        ),
        (
            vec![
                key(),
                it("matchItems", "lteq", "100"),
                it("minMatches", "gteq", "10"),
                it("matchShare", "lteq", "10"),
            ],
            &[],
        ),
        (vec![it("matchItems", "lteq", "10")], &["match.no-key permission[0].constraint[0]"]),
    ] {
        assert_eq!(found(&permits(&constraints), &[]), should, "{constraints:?}");
    }
}

/// Rows with equal keys would be counted one by one where a bound is held against rows.
#[test]
fn bounds_on_results_need_keys_that_count_once() {
    let least = || atom("tidm:minMatches", "gteq", "5");
    let share = || atom("tidm:matchShare", "lteq", "50");
    let reveal = |all: &str| json!({"leftOperand": "tidm:matchReveal", "operator": "isAnyOf", "rightOperand": all.split(',').collect::<Vec<_>>()});
    for (equals, more, kept) in [
        ("multiply", vec![], true),
        ("multiply", vec![least()], false),
        ("multiply", vec![share()], false),
        ("multiply", vec![least(), reveal("size,labels")], false),
        ("multiply", vec![least(), reveal("size,sum")], true),
        ("first", vec![least(), share()], true),
        ("refuse", vec![least(), share()], true),
    ] {
        let mut all = vec![atom("tidm:matchKey", "eq", &format!("id;{equals}"))];
        all.extend(more);
        let terms = compile(&policy(&permits(&all))).unwrap();
        assert_eq!(terms.unkeepable(Use::Psi).is_empty(), kept, "{all:?}");
    }
}

#[test]
fn permissions_and_prohibitions_that_meet() {
    let rules = |conflict: Option<&str>, ban: &str, constraint: &[Json]| {
        let mut it = json!({"permission": [{"action": "use", "constraint": [atom("count", "lteq", "5")]}],
            "prohibition": [{"action": ban, "constraint": constraint}]});
        if let Some(conflict) = conflict {
            it["conflict"] = json!(conflict);
        }
        it
    };
    let late = [atom("count", "gt", "5")];
    let early = [atom("count", "gt", "3")];
    for (it, should) in [
        (rules(None, "use", &[]), &["conflict.void prohibition[0]"][..]),
        (rules(None, "read", &[]), &["conflict.overlap prohibition[0]"]),
        (rules(None, "distribute", &[]), &[]),
        (rules(None, "use", &early), &["conflict.overlap prohibition[0]"]),
        (rules(None, "use", &late), &["conflict.none prohibition[0]"]),
        (rules(Some("prohibit"), "use", &[]), &["conflict.blocked prohibition[0]"]),
        (rules(Some("prohibit"), "display", &[]), &["conflict.carved prohibition[0]"]),
        (rules(Some("perm"), "use", &[]), &["conflict.overridden prohibition[0]"]),
    ] {
        assert_eq!(found(&it, &[]), should, "{it}");
    }
    let idle = json!({"conflict": "perm", "permission": [{"action": "use"}],
        "prohibition": [{"action": "display"}]});
    assert_eq!(found(&idle, &[]), ["conflict.idle prohibition[0]"]);
}

#[test]
fn what_nobody_signs_is_refused_with_place_and_reason() {
    let it = json!({
        "permission": [
            {"action": "use", "constraint": [
                atom("count", "lteq", "5"),
                atom("systemDevice", "eq", "urn:d"),
                {"or": [atom("purpose", "eq", "a"), atom("event", "gteq", "x"), atom("tidm:minGroup", "gteq", "5")]},
            ]},
            {"action": "play", "duty": [{"action": "reviewPolicy"}]},
        ],
        "obligation": [{"action": "compensate", "constraint": [atom("payAmount", "eq", "1")]}],
        "profile": "urn:other",
    });
    assert_eq!(
        found(&it, &[]),
        [
            "term.refused permission[0].constraint[1]",
            "term.refused permission[0].constraint[2].or[1]",
            "term.refused permission[0].constraint[2].or[2]",
            "term.refused permission[1].duty[0]",
            "term.refused permission[1]",
            "term.refused obligation[0].constraint[0]",
            "term.refused policy",
        ]
    );
    let all = check(&policy(&it), now(), &[]);
    assert_eq!(
        (&*all[0].zh, &*all[0].en),
        (
            "不能签署 systemDevice：可以理解，但此处无法证明使用发生在何处、何种设备上",
            "systemDevice cannot be signed: it is understood, but nobody here can prove where or on what a use takes place"
        )
    );
    // As many as the compiler has.
    assert_eq!(compile(&policy(&it)).unwrap_err().len(), 7);
}

#[test]
fn weak_places_and_unusable_kinds() {
    let it = permits(&[atom("count", "lteq", "5"), atom("purpose", "eq", "a")]);
    assert_eq!(
        found(&it, &[Use::Query, Use::SealedTable, Use::Plain]),
        [
            "level.e0 permission[0].constraint[0]",
            "level.e0 permission[0].constraint[1]",
            "level.e1 permission[0].constraint[0]"
        ]
    );
    let all = check(&policy(&it), now(), &[Use::SealedTable, Use::Plain]);
    assert!(all.iter().any(|it| it.en == "enforced at E0 for plain: by contract only"), "{all:?}");
    let it = permits(&[atom("tidm:minGroup", "gteq", "5")]);
    assert_eq!(found(&it, &[Use::Query, Use::Plain]), ["kind.unusable policy"]);
    assert_eq!(found(&it, &[Use::Plain]), ["kind.none policy", "kind.unusable policy"]);
    let it = permits(&[atom("tidm:enforcementLevel", "gteq", "E2")]);
    assert_eq!(found(&it, &[Use::SealedFile]), ["kind.none policy", "kind.unusable policy"]);
    assert_eq!(found(&it, &[Use::Query]), <[&str; 0]>::default());
    // What only an attested environment reaches: where a key is released, and nowhere else.
    let it = permits(&[atom("tidm:enforcementLevel", "gteq", "E3")]);
    assert_eq!(found(&it, &[Use::SealedFile]), <[&str; 0]>::default());
    assert_eq!(found(&it, &[Use::Query]), ["kind.none policy", "kind.unusable policy"]);
}

#[test]
fn needless_terms() {
    for (constraints, should) in [
        (
            vec![atom("count", "lteq", "10"), atom("count", "lteq", "5")],
            "term.redundant permission[0].constraint[0]",
        ),
        (
            vec![atom("count", "lteq", "5"), atom("count", "lteq", "5")],
            "term.redundant permission[0].constraint[1]",
        ),
        (
            vec![atom("count", "lteq", "5"), atom("count", "lt", "6")],
            "term.redundant permission[0].constraint[1]",
        ),
        (
            vec![atom("tidm:outputRows", "lteq", "9"), atom("tidm:outputRows", "lteq", "10")],
            "term.redundant permission[0].constraint[1]",
        ),
        (
            vec![atom("tidm:minGroup", "gteq", "5"), atom("tidm:minGroup", "gteq", "6")],
            "term.redundant permission[0].constraint[0]",
        ),
        (
            vec![atom("tidm:enforcementLevel", "gteq", "E0")],
            "term.always permission[0].constraint[0]",
        ),
    ] {
        assert_eq!(found(&permits(&constraints), &[]), [should], "{constraints:?}");
    }
    let twice = json!({"permission": [{"action": "use"}, {"action": "use"}]});
    assert_eq!(found(&twice, &[]), ["rule.repeated permission[1]"]);
    let wide = json!({"permission": [{"action": "use"},
        {"action": "read", "constraint": [atom("count", "lteq", "5")]}]});
    assert_eq!(found(&wide, &[]), ["rule.idle permission[1]"]);
}

#[test]
fn deletion_and_parties() {
    let delete = |at: &str| {
        json!({"permission": [{"action": "use", "constraint": [atom("dateTime", "lteq", "2027-06-30T00:00:00Z")]}],
            "obligation": [{"action": "delete", "constraint": [atom("dateTime", "lteq", at)]}]})
    };
    assert_eq!(found(&delete("2027-06-30T00:00:00Z"), &[]), <[&str; 0]>::default());
    assert_eq!(found(&delete("2027-06-29T00:00:00Z"), &[]), ["delete.early obligation[0]"]);
    assert_eq!(
        found(&delete("2026-01-01T00:00:00Z"), &[]),
        ["delete.past obligation[0]", "delete.early obligation[0]"]
    );
    let mut it = policy(&permits(&[atom("recipient", "eq", "did:web:a.example")]));
    it.assignee = Some(crate::id::Id::parse("did:web:b.example").unwrap());
    let all = check(&it, now(), &[]);
    assert_eq!(all[0].code, "recipient.not-assignee");
    let nothing = policy(&permits(&[]));
    assert!(check(&nothing, now(), &[]).is_empty());
    let mut nothing = nothing;
    nothing.permissions.clear();
    assert_eq!(check(&nothing, now(), &[])[0].code, "policy.permits-nothing");
}

/// Templates have no errors and no warnings but those on enforcement and on kinds of use that they leave out.
#[test]
fn templates_are_sensible() {
    for template in templates() {
        let policy = template.build(&template.example()).unwrap();
        for it in check(&policy, now(), &Use::ALL) {
            let expected = it.code.starts_with("level.")
                || it.code.starts_with("kind.unusable")
                // `delete-by` and its like have no other end than the deletion itself.
                || it.severity == Severity::Note;
            assert!(expected, "{}: {it:?}", template.name);
        }
    }
}

/// Whatever is thrown at it, a check ends, and refusals are never lost.
#[test]
fn deep_and_wide_policies_are_checked() {
    let many: Vec<Json> = (0..300).map(|i| atom("count", "lteq", &(i + 1).to_string())).collect();
    let all = check(&policy(&permits(&many)), now(), &Use::ALL);
    assert!(all.iter().filter(|it| it.code == "term.redundant").count() >= 255);
    let mut deep = atom("systemDevice", "eq", "urn:d");
    for _ in 0..12 {
        deep = json!({"or": [deep, atom("count", "lteq", "1")]});
    }
    let all = check(&policy(&permits(&[deep])), now(), &[]);
    let refused: Vec<&Remark> = all.iter().filter(|it| it.code == "term.refused").collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].place.matches(".or[0]").count(), 12);
}

/// Terms good and bad, for rules put together at random.
fn pool() -> Vec<Json> {
    vec![
        atom("count", "lteq", "5"),
        atom("count", "gt", "9"),
        atom("dateTime", "lteq", "2027-06-30T00:00:00Z"),
        atom("dateTime", "lteq", "tomorrow"),
        atom("purpose", "eq", "a"),
        atom("purpose", "isNoneOf", "a"),
        atom("spatial", "eq", "CN"),
        atom("x:moon", "eq", "full"),
        atom("tidm:minGroup", "gteq", "5"),
        atom("tidm:matchKey", "eq", "a"),
        atom("tidm:matchKey", "eq", "b"),
        json!({"or": [atom("count", "lteq", "1"), atom("event", "gteq", "x")]}),
        json!({"and": [atom("tidm:outputRows", "lteq", "5"), atom("count", "lteq", "2")]}),
        json!({"xone": [{"or": [atom("tidm:columns", "eq", "a")]}]}),
    ]
}

proptest! {
    /// A policy has a refusal among its remarks exactly when a node does not sign it.
    #[test]
    fn refusals_are_neither_lost_nor_invented(
        grant in proptest::sample::subsequence(pool(), 0..5),
        ban in proptest::option::of(proptest::sample::subsequence(pool(), 0..3)),
        (acted, banned) in (0..5_usize, 0..5_usize),
        (owed, strategy) in (0..4_usize, 0..3_usize),
    ) {
        let acts = ["use", "read", "distribute", "play", "aggregate"];
        let mut it = json!({"permission": [{"action": acts[acted], "constraint": grant}]});
        if let Some(ban) = ban {
            it["prohibition"] = json!([{"action": acts[banned], "constraint": ban}]);
        }
        if let Some(duty) = ["delete", "compensate", "inform"].get(owed) {
            it["obligation"] = json!([{"action": duty}]);
        }
        if let Some(strategy) = ["prohibit", "perm"].get(strategy) {
            it["conflict"] = json!(strategy);
        }
        let it = policy(&it);
        let all = check(&it, now(), &Use::ALL);
        let refused = all.iter().any(|it| it.code == "term.refused");
        let void = |it: &&Remark| ["conflict.void", "conflict.overlap"].contains(&it.code);
        let void = all.iter().any(|it| void(&it) && it.severity == Severity::Error);
        const MEET: [&str; 2] = [reason::VOID, reason::PERHAPS];
        match compile(&it) {
            Ok(_) => prop_assert!(!refused && !void, "{all:?}"),
            Err(why) => {
                let told = all.iter().filter(|it| it.code == "term.refused");
                prop_assert!(told.count() + usize::from(void) > 0, "{why:?}");
                for why in why.iter().filter(|it| !MEET.contains(&it.why)) {
                    prop_assert!(all.iter().any(|it| it.en.contains(&why.term) && it.en.contains(why.why)));
                }
                prop_assert!(void || why.iter().all(|it| !MEET.contains(&it.why)));
            }
        }
    }
}
