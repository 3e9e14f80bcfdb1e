//! Strictness by axis, by rule, and against evaluation: what an offer found strict permits, the terms it keeps permit.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};

use super::*;
use crate::policy::compile::compile;
use crate::policy::eval::evaluate;
use crate::policy::facts::{Facts, Request};
use crate::policy::terms::Topic;
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::odrl::OdrlPolicy;

/// Operand, operator, and three values from the strictest on.
fn axes() -> Vec<(&'static str, &'static str, [Json; 3])> {
    let day = |n: i64| json!(Time::from_ms(n * 86_400_000).to_string());
    let three = |a: &str, b: &str, c: &str| [json!(a), json!(b), json!(c)];
    let list = |a: &str, b: &str, c: &str| [json!([a]), json!([a, b]), json!([a, b, c])];
    vec![
        ("dateTime", "lteq", [day(1), day(2), day(9)]),
        ("dateTime", "gt", [day(3), day(2), day(0)]),
        ("count", "lteq", three("1", "2", "5")),
        ("count", "lt", three("1", "2", "5")),
        ("elapsedTime", "lteq", three("PT1H", "P1D", "P3D")),
        ("delayPeriod", "gteq", three("P3D", "P1D", "PT1H")),
        ("purpose", "isAnyOf", list("quality", "safety", "resale")),
        (
            "recipient",
            "isAnyOf",
            list("did:web:a.example", "did:web:b.example", "did:web:c.example"),
        ),
        ("tidm:kindOfUse", "isAnyOf", list("query", "sealed-table", "psi")),
        ("tidm:enforcementLevel", "gteq", three("E2", "E1", "E0")),
        ("tidm:frequency", "lteq", three("1/P2D", "2/P1D", "5/PT1H")),
        ("timeInterval", "eq", three("P1D", "PT2H", "PT1H")),
        ("meteredTime", "lteq", three("PT1H", "PT2H", "PT9H")),
        ("tidm:dataSize", "lteq", three("10", "20", "90")),
        ("tidm:recordCount", "lt", three("10", "20", "90")),
        ("tidm:groupCount", "lteq", three("1", "2", "5")),
        ("tidm:assigneeRole", "isAnyOf", list("auditor", "maker", "guest")),
        ("tidm:networkAddress", "isAnyOf", list("10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32")),
        ("tidm:minGroup", "gteq", three("10", "5", "2")),
        ("tidm:outputRows", "lteq", three("1", "5", "9")),
        ("tidm:outputBytes", "lt", three("1", "5", "9")),
        ("tidm:deliveryRate", "lteq", three("1000", "5000", "9000")),
        ("tidm:columns", "isAnyOf", list("a", "b", "c")),
        ("tidm:matchItems", "lteq", three("1", "5", "9")),
        ("tidm:minMatches", "gteq", three("10", "5", "2")),
        ("tidm:matchReveal", "isAnyOf", list("rows", "size", "labels")),
    ]
}

fn atom(axis: usize, value: usize) -> Json {
    let (left, op, values) = &axes()[axis];
    json!({"leftOperand": left, "operator": op, "rightOperand": values[value]})
}

/// Rules of each kind; some more of a policy.
#[derive(Clone, Debug, Default)]
struct Rules {
    permission: Vec<Json>,
    prohibition: Vec<Json>,
    obligation: Vec<Json>,
    conflict: Option<&'static str>,
}

impl Rules {
    fn using(constraints: &[Json]) -> Self {
        let permission = vec![json!({"action": "use", "constraint": constraints})];
        Self { permission, ..Self::default() }
    }

    fn terms(&self) -> Terms {
        let mut it = json!({"@id": "urn:o", "@type": "Offer", "permission": self.permission,
            "prohibition": self.prohibition, "obligation": self.obligation});
        // Under `invalid` most of what is made here would not be signed.
        it["conflict"] = json!(self.conflict.unwrap_or("prohibit"));
        compile(&OdrlPolicy::parse(it).unwrap().model).unwrap()
    }
}

#[test]
fn each_axis_may_be_narrowed_and_not_widened() {
    for (axis, (left, op, _)) in axes().into_iter().enumerate() {
        for next in 0..3 {
            let kept = Rules::using(&[atom(axis, next)]).terms();
            for offer in 0..3 {
                let found = looser(&kept, &Rules::using(&[atom(axis, offer)]).terms());
                assert_eq!(found.is_empty(), offer <= next, "{left} {op} {next} {offer} {found:?}");
                assert!(found.iter().all(|it| it.term == left), "{found:?}");
            }
            let nothing = looser(&kept, &Rules::using(&[]).terms());
            // Of a match rows alone are revealed where nothing is said.
            assert_eq!(nothing.is_empty(), left == "tidm:matchReveal", "{left}");
        }
    }
}

#[test]
fn duties_prohibitions_and_permissions_are_kept() {
    let policy = |it: Json| {
        let of = |name: &str| it[name].as_array().cloned().unwrap_or_default();
        let mut permission = of("permission");
        permission.push(json!({"action": "use"}));
        let rules = Rules { permission, ..Rules::default() };
        Rules { prohibition: of("prohibition"), obligation: of("obligation"), ..rules }.terms()
    };
    let price = |amount: &str| {
        json!({"obligation": [{"action": "compensate", "constraint": [
            {"leftOperand": "payAmount", "operator": "eq", "rightOperand": amount},
            {"leftOperand": "tidm:currency", "operator": "eq", "rightOperand": "CNY"}]}]})
    };
    let by = |day: &str| {
        json!({"obligation": [{"action": "delete", "constraint": [
            {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": format!("2027-06-{day}T00:00:00Z")}]}]})
    };
    let owed = |action: &str| json!({"obligation": [{"action": action}]});
    let first =
        |action: &str| json!({"permission": [{"action": "read", "duty": [{"action": action}]}]});
    let bans = |action: &str| json!({"prohibition": [{"action": action}]});
    let none = || json!({});
    for (next, offer, kept) in [
        (price("100"), price("100.00"), true),
        (price("100"), price("250"), true),
        (price("100"), price("99.99"), false),
        (price("100"), none(), false),
        (by("30"), by("29"), true),
        (by("29"), by("30"), false),
        // Neither is sooner than the other.
        (by("30"), owed("delete"), false),
        (owed("delete"), by("30"), false),
        (owed("delete"), owed("delete"), true),
        (owed("delete"), none(), false),
        (owed("nextPolicy"), owed("nextPolicy"), true),
        (owed("nextPolicy"), none(), false),
        (owed("obtainConsent"), owed("inform"), false),
        (none(), owed("inform"), true),
        (bans("distribute"), bans("distribute"), true),
        (bans("distribute"), none(), false),
        (bans("distribute"), bans("derive"), false),
        (none(), bans("distribute"), true),
        (none(), json!({"permission": [{"action": "distribute"}]}), false),
        (json!({"permission": [{"action": "distribute"}]}), none(), true),
        // The permission to use is there, and asks for less than the other one.
        (first("inform"), none(), true),
    ] {
        let found = looser(&policy(next.clone()), &policy(offer.clone()));
        assert_eq!(found.is_empty(), kept, "{next} {offer} {found:?}");
    }
    let only = |rule: Json| Rules { permission: vec![rule], ..Rules::default() }.terms();
    let paid = json!({"action": "use", "duty": [{"action": "obtainConsent"}]});
    assert_eq!(
        looser(&only(paid.clone()), &only(json!({"action": "use"})))[0].term,
        "obtainConsent"
    );
    assert!(looser(&only(json!({"action": "use"})), &only(paid)).is_empty());
    let (using, reading) = (only(json!({"action": "use"})), only(json!({"action": "read"})));
    assert!(looser(&using, &reading).is_empty());
    assert_eq!(looser(&reading, &using)[0].term, "use");
    // Aggregates cover reading in name, and not what reading covers.
    assert_eq!(looser(&only(json!({"action": "aggregate"})), &reading)[0].term, "read");
}

#[test]
fn a_permission_that_wins_keeps_no_prohibition() {
    let ban = json!({"action": "read", "constraint": [atom(0, 1)]});
    let with = |conflict| {
        let rules = Rules::using(&[]);
        Rules { prohibition: vec![ban.clone()], conflict, ..rules }.terms()
    };
    for (next, offer, kept) in [
        (None, Some("perm"), false),
        (Some("prohibit"), Some("perm"), false),
        (Some("perm"), Some("perm"), true),
        (Some("perm"), None, true),
        (None, Some("prohibit"), true),
    ] {
        assert_eq!(looser(&with(next), &with(offer)).is_empty(), kept, "{next:?} {offer:?}");
    }
}

/// Terms with one condition of each chosen axis, and whatever rules beside them.
fn any_rules() -> impl Strategy<Value = (Rules, Vec<(usize, usize)>)> {
    let axes: Vec<usize> = (0..axes().len()).filter(|it| ![1, 3].contains(it)).collect();
    let most = axes.len();
    let chosen = proptest::sample::subsequence(axes, 0..=most.min(5));
    let values = proptest::collection::vec(0..3_usize, 5);
    let action = select(vec!["use", "read", "display"]);
    let banned = proptest::option::of((select(vec!["read", "display", "distribute"]), 0..3_usize));
    let owed = proptest::sample::subsequence(
        vec!["obtainConsent", "inform", "delete", "nextPolicy"],
        0..3,
    );
    let conflict = select(vec![None, Some("perm"), Some("prohibit")]);
    (chosen, values, action, banned, owed, conflict).prop_map(
        |(chosen, values, action, banned, owed, conflict)| {
            let said: Vec<(usize, usize)> = chosen.into_iter().zip(values).collect();
            let all: Vec<Json> = said.iter().map(|(axis, value)| atom(*axis, *value)).collect();
            let banned = banned
                .map(|(action, value)| json!({"action": action, "constraint": [atom(1, value)]}));
            let rules = Rules {
                permission: vec![json!({"action": action, "constraint": all})],
                prohibition: banned.into_iter().collect(),
                obligation: owed.into_iter().map(|it| json!({"action": it})).collect(),
                conflict,
            };
            (rules, said)
        },
    )
}

/// A change to the terms that were to be kept.
#[derive(Clone, Copy, Debug)]
struct Change {
    axis: usize,
    value: usize,
    drop: bool,
    rule: usize,
}

fn changed(next: &Rules, said: &[(usize, usize)], all: &[Change]) -> Rules {
    let mut out = next.clone();
    let mut said = said.to_vec();
    for it in all {
        match it.rule {
            0 => out.prohibition.clear(),
            1 => drop(out.obligation.pop()),
            2 => out.conflict = None,
            3 => out.permission[0]["action"] = json!("display"),
            4 => out.permission[0]["action"] = json!("use"),
            5 => {
                let ban = json!({"action": "read", "constraint": [atom(1, it.value)]});
                out.prohibition = vec![ban];
            }
            _ if it.drop => said.retain(|(axis, _)| axis % 4 != it.axis % 4),
            _ => match said.iter_mut().find(|(axis, _)| axis % 4 == it.axis % 4) {
                Some(one) => one.1 = it.value,
                None if ![1, 3].contains(&it.axis) => said.push((it.axis, it.value)),
                None => {}
            },
        }
    }
    let constraints: Vec<Json> = said.iter().map(|(axis, value)| atom(*axis, *value)).collect();
    out.permission[0]["constraint"] = json!(constraints);
    out
}

fn any_change() -> impl Strategy<Value = Change> {
    let axis = 0..axes().len();
    (axis, 0..3_usize, prop::bool::weighted(0.2), 0..24_usize)
        .prop_map(|(axis, value, drop, rule)| Change { axis, value, drop, rule })
}

/// Facts of a request, each from a few values about those of the terms.
#[derive(Clone, Debug)]
struct Known {
    day: i64,
    uses: u64,
    first: Option<i64>,
    who: usize,
    kind: Use,
    number: u64,
    known: bool,
    columns: Option<usize>,
}

fn any_request() -> impl Strategy<Value = Known> {
    let days = || select(vec![0, 1, 2, 3, 9, 10]);
    let column = proptest::option::of(0..4_usize);
    (
        days(),
        0..6_u64,
        proptest::option::of(days()),
        0..3_usize,
        select(Use::ALL.to_vec()),
        select(vec![0, 1, 2, 5, 10, 20, 91]),
        prop::bool::weighted(0.9),
        column,
    )
        .prop_map(|(day, uses, first, who, kind, number, known, columns)| Known {
            day,
            uses,
            first,
            who,
            kind,
            number,
            known,
            columns,
        })
}

fn permits(terms: &Terms, it: &Known) -> bool {
    let at = |day: i64| Time::from_ms(day * 86_400_000 + 3_600_000);
    let who = ["did:web:a.example", "did:web:b.example", "did:web:z.example"][it.who];
    let mut request = Request::new(at(it.day), it.kind, who);
    request.purpose = it.known.then_some(["quality", "safety", "resale"][it.who]);
    request.uses_so_far = it.uses;
    request.first_use_at = it.first.map(|day| at(day.min(it.day)));
    request.agreed_at = it.known.then_some(Time::ZERO);
    let columns: Option<Vec<String>> = it
        .columns
        .map(|n| ["a", "b", "c", "d"].iter().take(n).map(|it| (*it).to_owned()).collect());
    request.columns = columns.as_deref();
    let consent = terms.consent(it.known);
    let role = [["auditor", "maker", "guest"][it.who]];
    let roles: [(Topic, &[&str]); 1] = [(Topic::Role, &role)];
    let starts: Vec<Time> = request.first_use_at.into_iter().collect();
    request.more = Facts {
        topics: if it.known { &roles } else { &[] },
        network: Some(format!("10.0.0.{}", it.who + 1).parse().unwrap()),
        uses_at: it.known.then_some(&starts),
        metered: Some(Duration::from_secs(it.number * 600)),
        bytes: Some(it.number),
        records: Some(it.number),
        group_uses: it.known.then_some(it.number),
        deeds: &consent,
        ..Facts::default()
    };
    matches!(evaluate(terms, &request).verdict, crate::policy::eval::Verdict::Permit(_))
}

proptest! {
    #[test]
    fn all_terms_keep_themselves((rules, _) in any_rules()) {
        let terms = rules.terms();
        prop_assert_eq!(looser(&terms, &terms), vec![]);
    }

    /// Without one condition, prohibition or duty, or with one value further, an offer is refused and the term is named.
    #[test]
    fn less_is_refused_and_named((rules, said) in any_rules(), at in any::<prop::sample::Index>()) {
        let next = rules.terms();
        if let Some((axis, value)) = said.get(at.index(said.len().max(1))) {
            let left = axes()[*axis].0;
            let mut without = rules.clone();
            without.permission[0]["constraint"].as_array_mut().unwrap().retain(|it| it["leftOperand"] != left);
            let found = looser(&next, &without.terms());
            // Rows alone is what is revealed where nothing is said.
            prop_assert_eq!(found.iter().any(|it| it.term == left), left != "tidm:matchReveal", "{:?}", found);
            if *value < 2 {
                let all: Vec<Json> = said.iter()
                    .map(|(it, has)| atom(*it, if it == axis { value + 1 } else { *has })).collect();
                let mut further = rules.clone();
                further.permission[0]["constraint"] = json!(all);
                let found = looser(&next, &further.terms());
                prop_assert!(found.iter().any(|it| it.term == left), "{left} {found:?}");
            }
        }
        for i in 0..rules.obligation.len() {
            let mut without = rules.clone();
            let gone = without.obligation.remove(i);
            let found = looser(&next, &without.terms());
            prop_assert!(found.iter().any(|it| gone["action"] == it.term), "{found:?}");
        }
        if !rules.prohibition.is_empty() {
            let without = Rules { prohibition: vec![], ..rules };
            prop_assert!(!looser(&next, &without.terms()).is_empty());
        }
    }

    #[test]
    fn what_a_strict_offer_permits_its_next_policy_permits(
        (rules, said) in any_rules(),
        changes in proptest::collection::vec(any_change(), 0..4),
        requests in proptest::collection::vec(any_request(), 24),
    ) {
        let (next, offer) = (rules.terms(), changed(&rules, &said, &changes).terms());
        let kept = looser(&next, &offer).is_empty();
        for it in requests {
            if kept && permits(&offer, &it) {
                prop_assert!(permits(&next, &it), "{it:?}\n{rules:?}\n{changes:?}");
            }
        }
    }
}

/// The property above is about something: changed terms are found strict and permit, and others are found looser.
#[test]
fn random_changes_are_kept_and_refused() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = || {
        let changes = proptest::collection::vec(any_change(), 1..4);
        let requests = proptest::collection::vec(any_request(), 24);
        (any_rules(), changes, requests).new_tree(&mut runner).unwrap().current()
    };
    let (mut kept, mut refused) = (0, 0);
    for _ in 0..512 {
        let ((rules, said), changes, requests) = draw();
        let (next, offer) = (rules.terms(), changed(&rules, &said, &changes).terms());
        if !looser(&next, &offer).is_empty() {
            refused += 1;
        } else if next != offer && requests.iter().any(|it| permits(&offer, it)) {
            kept += 1;
        }
    }
    assert!(kept > 10 && refused > 50, "{kept} {refused}");
}
