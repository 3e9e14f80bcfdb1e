//! Which tiers are signed, and that a place of use opens no more than the gate granted.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::compile::{compile, compile_signed};
use crate::policy::model::Policy;
use crate::policy::usage::TEE;
use crate::time::Time;
use crate::wire::odrl::OdrlPolicy;

fn atom(left: &str, op: &str, right: &str) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

fn count(n: u64) -> Json {
    atom("count", "lteq", &n.to_string())
}

fn aggregates() -> Json {
    atom("tidm:aggregatesOnly", "eq", "true")
}

fn purpose(it: &str) -> Json {
    atom("purpose", "eq", it)
}

fn level(it: &str) -> Json {
    atom("tidm:enforcementLevel", "gteq", it)
}

fn kind(it: &str) -> Json {
    atom("tidm:kindOfUse", "eq", it)
}

fn policy(permissions: &[Json]) -> Policy {
    let it = json!({"@id": "o", "@type": "Offer", "permission": permissions});
    OdrlPolicy::parse(it).unwrap().model
}

fn permission(constraints: &[Json]) -> Json {
    json!({"action": "use", "constraint": constraints})
}

#[test]
fn what_only_the_gate_sees_tells_no_limits_apart() {
    let columns = || atom("tidm:columns", "isAnyOf", "t");
    let tee = || atom("tidm:executionEnvironment", "eq", "tee");
    let (early, late) = (
        atom("dateTime", "lt", "2027-01-01T00:00:00Z"),
        atom("dateTime", "gteq", "2027-01-01T00:00:00Z"),
    );
    let either = |all: &[Json]| json!({"or": all});
    let empty: &[&str] = &[];
    for (one, other, refused) in [
        // The same limits, or nothing that tells them apart.
        (vec![count(1)], vec![count(9)], empty),
        (vec![count(1), columns()], vec![columns()], empty),
        (vec![count(5)], vec![count(5), aggregates()], empty),
        (vec![], vec![aggregates()], empty),
        (vec![purpose("a")], vec![purpose("b"), aggregates()], empty),
        (vec![level("E1")], vec![aggregates()], empty),
        (vec![level("E3")], vec![level("E3"), aggregates()], empty),
        // Whose number it is says the purpose, the kind or the time.
        (vec![count(1), purpose("a")], vec![purpose("b"), aggregates()], empty),
        (vec![count(1), kind("query")], vec![kind("sealed-table"), aggregates()], empty),
        (vec![count(1), kind("query")], vec![kind("plain")], empty),
        (vec![count(1), early], vec![late, aggregates()], empty),
        (vec![level("E3"), kind("query")], vec![kind("query"), aggregates()], empty),
        (vec![tee(), kind("query")], vec![kind("query"), aggregates()], empty),
        // Seen by the gate alone.
        (vec![count(1)], vec![aggregates()], &["count"]),
        (vec![count(1), kind("query")], vec![kind("query"), aggregates()], &["count"]),
        (vec![count(9), aggregates()], vec![count(1), columns()], &["count"]),
        (vec![count(1), purpose("a")], vec![aggregates()], &["count"]),
        (vec![either(&[count(1), purpose("a")])], vec![count(1), aggregates()], &["count"]),
        (
            vec![either(&[count(1), purpose("a")])],
            vec![either(&[count(1), purpose("a")]), aggregates()],
            empty,
        ),
        (vec![level("E3")], vec![aggregates()], &["tidm:enforcementLevel"]),
        (vec![level("E4")], vec![level("E3"), aggregates()], &["tidm:enforcementLevel"]),
        (vec![tee(), kind("sealed-table")], vec![aggregates()], &["tidm:executionEnvironment"]),
        (vec![level("E3"), count(2)], vec![aggregates()], &["count", "tidm:enforcementLevel"]),
    ] {
        for all in [[&one, &other], [&other, &one]] {
            let it = policy(&all.map(|it| permission(it)));
            let found = compile(&it).err().unwrap_or_default();
            let names: Vec<&str> = found.iter().map(|it| it.term.as_str()).collect();
            assert_eq!(names, refused, "{all:?}");
            assert!(found.iter().all(|it| it.why == APART && !reason::zh(it.why).is_ascii()));
            assert!(compile_signed(&it).is_ok(), "{all:?}");
        }
    }
    let mut consent = permission(&[]);
    consent["duty"] = json!([{"action": "obtainConsent"}]);
    let found = compile(&policy(&[consent, permission(&[aggregates()])])).unwrap_err();
    assert_eq!(found[0].term, "obtainConsent");
}

/// Raw rows for the first use and aggregates from then on, as it was signed before: no use is taken for the first.
#[test]
fn a_use_of_unknown_number_is_not_the_first() {
    let it = policy(&[
        permission(&[kind("query"), count(1)]),
        permission(&[kind("query"), aggregates(), atom("tidm:minGroup", "gteq", "10")]),
        permission(&[kind("sealed-table"), level("E4")]),
        permission(&[kind("sealed-table"), level("E3"), atom("tidm:outputRows", "lteq", "5")]),
        permission(&[kind("sealed-table"), level("E3"), atom("tidm:columns", "isAnyOf", "t")]),
    ]);
    let terms = compile_signed(&it).unwrap();
    let asked = |kind| Request::new(Time::ZERO, kind, "did:web:me");
    let query = kept(&terms, &[asked(Use::Query)], None).unwrap();
    assert_eq!((query.aggregates_only, query.min_group), (true, Some(10)));
    let first = kept(&terms, &[asked(Use::Query)], Some(0)).unwrap();
    assert!(!first.aggregates_only, "a place that knows");
    let proven = |level| Request { level, ..asked(Use::SealedTable) };
    let sealed = kept(&terms, &[proven(Level::E4), proven(Level::E3)], None).unwrap();
    assert_eq!(sealed.output_rows, Some(5), "all rows are for E4 alone");
    assert_eq!(kept(&terms, &[asked(Use::SealedTable)], None).unwrap_err().code(), "policy.denied");
    // More tiers than anybody wrote.
    let many: Vec<Json> = (1..99)
        .map(|n| permission(&[count(n), atom("tidm:outputRows", "lteq", &n.to_string())]))
        .collect();
    let terms = compile_signed(&policy(&many)).unwrap();
    assert!(kept(&terms, &[asked(Use::Query)], None).is_err());
    assert!(kept(&terms, &[asked(Use::Query)], Some(3)).is_ok());
}

fn tier() -> impl Strategy<Value = Json> {
    let maybe = |all: Vec<Json>| prop::option::weighted(0.5, prop::sample::select(all));
    let limits = vec![
        aggregates(),
        atom("tidm:minGroup", "gteq", "10"),
        atom("tidm:outputRows", "lteq", "5"),
        json!({"leftOperand": "tidm:columns", "operator": "isAnyOf", "rightOperand": ["t", "p"]}),
    ];
    let kinds = vec![kind("query"), kind("sealed-table"), kind("plain")];
    let levels = ["E1", "E3", "E4"].map(level).to_vec();
    let parts = (
        maybe((1..4).map(count).collect()),
        maybe(vec![purpose("a"), purpose("b")]),
        maybe(levels),
        maybe(kinds),
        maybe(limits.clone()),
        maybe(limits),
    );
    (parts, prop::bool::weighted(0.2)).prop_map(|((a, b, c, d, e, f), consent)| {
        let all: Vec<Json> = [a, b, c, d, e, f].into_iter().flatten().collect();
        let mut it = permission(&all);
        if consent {
            it["duty"] = json!([{"action": "obtainConsent"}]);
        }
        it
    })
}

fn no_wider(one: &Limits, other: &Limits) -> bool {
    let most = |one: Option<u64>, other: Option<u64>| {
        other.is_none_or(|it| one.is_some_and(|one| one <= it))
    };
    let columns = other
        .columns
        .as_ref()
        .is_none_or(|all| one.columns.as_ref().is_some_and(|it| it.is_subset(all)));
    columns
        && (one.aggregates_only || !other.aggregates_only)
        && one.min_group >= other.min_group
        && most(one.output_rows, other.output_rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// By whichever permission the gate grants a use, its worker opens no more; and where nodes sign such, it opens the same.
    #[test]
    fn a_place_of_use_opens_no_more_than_the_gate(all in prop::collection::vec(tier(), 1..4)) {
        let it = policy(&all);
        let Ok(terms) = compile_signed(&it) else { return Ok(()) };
        let signed = compile(&it).is_ok();
        let attested: &[(Topic, &[&str])] = &[(Topic::Environment, TEE)];
        for (kind, levels) in [
            (Use::Query, vec![]),
            (Use::SealedTable, vec![]),
            (Use::SealedTable, vec![Level::E4, Level::E3]),
        ] {
            for purpose in ["a", "b"] {
                let asked = Request { purpose: Some(purpose), ..Request::new(Time::ZERO, kind, "did:web:me") };
                let with = |level: &Level| Request {
                    level: *level,
                    more: Facts { topics: attested, ..Facts::default() },
                    ..asked.clone()
                };
                let mut may: Vec<Request<'_>> = levels.iter().map(with).collect();
                may.push(asked.clone());
                let kept = kept(&terms, &may, None);
                for at_gate in &may {
                    for (uses_so_far, consent) in [0, 1, 2, 3, 9].into_iter().flat_map(|n| [(n, true), (n, false)]) {
                        let deeds = terms.consent(consent);
                        let more = Facts { deeds: &deeds, ..at_gate.more };
                        let at_gate = Request { uses_so_far, more, ..at_gate.clone() };
                        let Ok(granted) = evaluate(&terms, &at_gate).permitted() else { continue };
                        let kept = kept.as_ref().unwrap();
                        prop_assert!(no_wider(kept, &granted), "{kept:?} {granted:?}");
                        prop_assert!(!signed || *kept == granted, "{kept:?} {granted:?}");
                    }
                }
            }
        }
    }
}
