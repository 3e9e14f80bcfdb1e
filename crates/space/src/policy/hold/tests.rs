//! One row per operand that a node has no facts for: what answers, and that without the fact nothing does.

use serde_json::{Value as Json, json};

use super::*;
use crate::lang::Lang;
use crate::policy::compile::{compile, understand};
use crate::policy::counted::Wants;
use crate::policy::eval::{Deed, Verdict, evaluate};
use crate::policy::facts::{Facts, Sums};
use crate::policy::terms::Terms;
use crate::policy::usage::Use;
use crate::wire::odrl::OdrlPolicy;

const NOW: &str = "2026-06-01T00:00:00Z";

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn atom(left: &str, op: &str, right: impl Into<Json>) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right.into()})
}

fn policy(rules: Json) -> crate::policy::model::Policy {
    let mut it = json!({"@id": "urn:o", "@type": "Set"});
    for (key, value) in rules.as_object().unwrap() {
        it[key] = value.clone();
    }
    OdrlPolicy::parse(it).unwrap().model
}

fn terms(constraint: &Json) -> Terms {
    understand(&policy(json!({"permission": [{"action": "use", "constraint": [constraint]}]})))
        .unwrap()
}

fn answer(terms: &Terms, facts: Facts<'_>) -> Truth {
    let request = Request {
        agreed_at: Some(at("2026-01-01T00:00:00Z")),
        more: facts,
        ..Request::new(at(NOW), Use::Plain, "did:web:me")
    };
    let decision = evaluate(terms, &request);
    let truth = decision.why.truth;
    assert_eq!(matches!(decision.verdict, Verdict::Permit(_)), truth == Truth::Yes);
    for lang in [Lang::Zh, Lang::En] {
        assert!(!decision.why.render(lang).is_empty());
    }
    truth
}

#[test]
fn facts_decide_and_ignorance_does_not() {
    use Truth::{No, Yes};
    let none = Facts::default();
    let hour = Duration::from_secs(3600);
    let uses = [at("2026-05-31T12:00:00Z"), at("2026-05-20T00:00:00Z")];
    let events = [("audit", at("2026-05-01T00:00:00Z")), ("recall", at("2026-07-01T00:00:00Z"))];
    let values = ["CN-32-05", "CN-32", "CN"];
    let topics = Topic::ALL.map(|it| (it, &values[..]));
    let of = |known| Facts { topics: if known { &topics } else { &[] }, ..none };
    let used = Facts { uses_at: Some(&uses), ..none };
    let told = Facts { events: Some(&events), ..none };
    let from = |it: &str| Facts { network: Some(it.parse().unwrap()), ..none };
    let version = |it| Facts { version: Some(it), ..none };
    let bytes = |it| Facts { bytes: Some(it), ..none };
    let group = |it| Facts { group_uses: Some(it), ..none };
    let sums = |group| Facts { group, ..none };
    let records = |it| Facts { records: Some(it), ..none };
    let metered = |it| Facts { metered: Some(it), ..none };
    for (left, op, right, facts, truth) in [
        ("spatial", "isPartOf", json!("CN"), of(true), Yes),
        ("spatial", "eq", json!("US"), of(true), No),
        ("spatial", "isNoneOf", json!(["US", "CN-32"]), of(true), No),
        ("spatial", "neq", json!("US"), of(true), Yes),
        ("tidm:assigneeRole", "isAnyOf", json!(["CN", "x"]), of(true), Yes),
        ("tidm:assigneeRole", "isAllOf", json!(["CN", "x"]), of(true), No),
        ("tidm:assigneeRole", "isAllOf", json!(["CN", "CN-32"]), of(true), Yes),
        ("systemDevice", "eq", json!("CN"), of(true), Yes),
        ("virtualLocation", "eq", json!("x"), of(true), No),
        ("tidm:application", "isAnyOf", json!(["CN"]), of(true), Yes),
        ("tidm:algorithm", "eq", json!("x"), of(true), No),
        ("tidm:model", "eq", json!("CN"), of(true), Yes),
        ("tidm:executionEnvironment", "isAnyOf", json!(["05", "CN"]), of(true), Yes),
        ("tidm:encryptionMode", "eq", json!("02"), of(true), No),
        ("tidm:deliveryMethod", "eq", json!("CN"), of(true), Yes),
        ("deliveryChannel", "eq", json!("CN"), of(true), Yes),
        ("fileFormat", "eq", json!("x"), of(true), No),
        ("industry", "eq", json!("CN"), of(true), Yes),
        ("language", "eq", json!("CN"), of(true), Yes),
        ("media", "eq", json!("CN"), of(true), Yes),
        ("product", "hasPart", json!("CN"), of(true), Yes),
        ("tidm:networkAddress", "isAnyOf", json!(["10.1.0.0/16", "::1"]), from("10.1.2.3"), Yes),
        ("tidm:networkAddress", "eq", json!("10.1.0.0/16"), from("10.2.0.1"), No),
        ("tidm:networkAddress", "isNoneOf", json!(["10.1.0.0/16"]), from("10.1.2.3"), No),
        ("version", "gteq", json!("2.0"), version("2"), Yes),
        ("version", "gteq", json!("2.0"), version("1.10"), No),
        ("version", "gt", json!("1.9"), version("1.10"), Yes),
        ("version", "eq", json!("1.9"), version("1.9"), Yes),
        ("event", "gteq", json!("audit"), told, Yes),
        ("event", "gt", json!("recall"), told, No),
        ("event", "lt", json!("recall"), told, Yes),
        ("event", "lt", json!("audit"), told, No),
        ("timeInterval", "eq", json!("P1D"), used, No),
        ("timeInterval", "eq", json!("PT12H"), used, Yes),
        ("tidm:frequency", "lteq", json!("2/P1D"), used, Yes),
        ("tidm:frequency", "lteq", json!("2/P1M"), used, No),
        ("tidm:frequency", "lt", json!("4/P1M"), used, Yes),
        ("meteredTime", "lteq", json!("PT1H"), metered(hour), Yes),
        ("meteredTime", "lt", json!("PT1H"), metered(hour), No),
        ("meteredTime", "lteq", json!("P60M"), metered(hour * 24 * 365), Yes),
        ("tidm:dataSize", "lteq", json!("1000"), bytes(1000), Yes),
        ("tidm:dataSize", "lt", json!("1000"), bytes(1000), No),
        ("tidm:recordCount", "lteq", json!("10"), records(11), No),
        ("tidm:recordCount", "eq", json!("10"), records(9), Yes),
        ("tidm:groupCount", "lteq", json!("10"), group(9), Yes),
        ("tidm:groupCount", "lteq", json!("10"), group(10), No),
        (
            "tidm:groupFrequency",
            "lteq",
            json!("2/P1D"),
            sums(Sums { uses_at: Some(&uses), ..Sums::default() }),
            Yes,
        ),
        (
            "tidm:groupFrequency",
            "lteq",
            json!("2/P1M"),
            sums(Sums { uses_at: Some(&uses), ..Sums::default() }),
            No,
        ),
        (
            "tidm:groupMeteredTime",
            "lteq",
            json!("PT1H"),
            sums(Sums { metered: Some(hour), ..Sums::default() }),
            Yes,
        ),
        (
            "tidm:groupMeteredTime",
            "lt",
            json!("PT1H"),
            sums(Sums { metered: Some(hour), ..Sums::default() }),
            No,
        ),
        (
            "tidm:groupDataSize",
            "lteq",
            json!("1000"),
            sums(Sums { bytes: Some(1000), ..Sums::default() }),
            Yes,
        ),
        (
            "tidm:groupRecordCount",
            "lteq",
            json!("10"),
            sums(Sums { records: Some(11), ..Sums::default() }),
            No,
        ),
    ] {
        let said = atom(left, op, right);
        assert_eq!(answer(&terms(&said), facts), truth, "{said}");
        // How data is kept and delivered is known of each kind of use by itself.
        let by_kind = matches!(left, "tidm:encryptionMode" | "tidm:deliveryMethod");
        let without = if by_kind { No } else { Truth::Unknown };
        assert_eq!(answer(&terms(&said), none), without, "{said}, without the fact");
        // Understood is not kept: a node refuses it by its name, unless its gate counts it or evidence proves it.
        let node = policy(json!({"permission": [{"action": "use", "constraint": [said]}]}));
        match compile(&node) {
            Ok(terms) if left == "tidm:executionEnvironment" => assert!(terms.need_attestation()),
            Ok(terms) => assert!(by_kind || Wants::of(&terms).any(), "{said}"),
            Err(why) => assert_eq!(why[0].term, left),
        }
    }
}

#[test]
fn the_clock_needs_no_other_fact() {
    for (left, op, right, truth) in [
        ("tidm:timeWindow", "eq", "Mon-Fri 08:00/18:00+08:00", Truth::Yes),
        ("tidm:timeWindow", "eq", "Sat,Sun 08:00/18:00+08:00", Truth::No),
        ("dateTime", "eq", NOW, Truth::Yes),
        ("dateTime", "neq", NOW, Truth::No),
        ("delayPeriod", "gteq", "P5M", Truth::Yes),
        ("delayPeriod", "gteq", "P6M", Truth::No),
    ] {
        assert_eq!(answer(&terms(&atom(left, op, right)), Facts::default()), truth, "{op} {right}");
    }
}

/// A counter belongs to the contract: what leads around it is not signed.
#[test]
fn counted_terms_are_signed_where_they_bind_always() {
    let frequency = || atom("tidm:frequency", "lteq", json!("5/P1D"));
    let purpose = || atom("purpose", "eq", json!("a"));
    let columns = || atom("tidm:columns", "eq", json!("a"));
    let read = |all: Json| json!({"action": "read", "constraint": all});
    for (rules, refused) in [
        (json!({"permission": [read(json!([frequency(), purpose()]))]}), vec![]),
        (json!({"permission": [read(json!([{"and": [frequency(), purpose()]}]))]}), vec![]),
        (
            json!({"permission": [read(json!([{"or": [frequency(), purpose()]}]))]}),
            vec!["tidm:frequency"],
        ),
        (
            json!({"permission": [read(json!([{"andSequence": [purpose(), {"and": [frequency()]}]}]))]}),
            vec!["tidm:frequency"],
        ),
        (
            json!({"conflict": "prohibit", "permission": [read(json!([]))], "prohibition": [{"action": "read",
                "constraint": [atom("tidm:dataSize", "gt", json!("5")), purpose()]}]}),
            vec!["tidm:dataSize"],
        ),
        (json!({"permission": [read(json!([frequency()])), read(json!([purpose()]))]}), vec![]),
        (
            json!({"permission": [read(json!([frequency()])), read(json!([columns()]))]}),
            vec!["tidm:frequency"],
        ),
        // No more than a gate looks back at, and no sums near the end of numbers.
        (
            json!({"permission": [read(json!([atom("tidm:frequency", "lteq", json!("1001/P1D"))]))]}),
            vec!["tidm:frequency"],
        ),
        (
            json!({"permission": [read(json!([atom("tidm:dataSize", "lteq", json!("9007199254740993"))]))]}),
            vec!["tidm:dataSize"],
        ),
    ] {
        let it = policy(rules.clone());
        let got: Vec<String> =
            compile(&it).err().unwrap_or_default().into_iter().map(|it| it.term).collect();
        assert_eq!(got, refused, "{rules}");
        assert!(understand(&it).is_ok(), "{rules}");
    }
}

#[test]
fn values_are_read_strictly() {
    for (left, op, right) in [
        ("tidm:frequency", "lteq", json!("5")),
        ("tidm:frequency", "lteq", json!("5/day")),
        ("tidm:frequency", "lteq", json!("5/PT0S")),
        ("tidm:frequency", "gteq", json!("5/P1D")),
        ("timeInterval", "eq", json!("PT0S")),
        ("timeInterval", "lteq", json!("P1D")),
        ("meteredTime", "lteq", json!("60 minutes")),
        ("tidm:dataSize", "lteq", json!("10G")),
        ("tidm:networkAddress", "eq", json!("example.org")),
        ("tidm:networkAddress", "isAllOf", json!(["10.0.0.1"])),
        ("tidm:timeWindow", "eq", json!("P7D")),
        ("tidm:valueExpression", "eq", json!("1 = 1; drop table x")),
        ("version", "gteq", json!("latest")),
        ("event", "eq", json!("audit")),
        ("spatial", "gt", json!("CN")),
        ("spatial", "isPartOf", json!([])),
    ] {
        let it = policy(
            json!({"permission": [{"action": "use", "constraint": [atom(left, op, right.clone())]}]}),
        );
        assert_eq!(understand(&it).unwrap_err()[0].term, left, "{left} {op} {right}");
    }
}

/// ODRL `andSequence`: each step from a moment that is not before the one in front.
#[test]
fn sequences_keep_their_order() {
    let events = [("a", at("2026-05-01T00:00:00Z")), ("b", at("2026-05-10T00:00:00Z"))];
    let facts = Facts { events: Some(&events), ..Facts::default() };
    let (a, b) = (atom("event", "gteq", "a"), atom("event", "gteq", "b"));
    let wait = |span: &str| atom("delayPeriod", "gteq", span);
    for (parts, truth) in [
        (vec![a.clone(), b.clone()], Truth::Yes),
        (vec![b.clone(), a.clone()], Truth::No),
        (vec![b.clone(), wait("P20D")], Truth::Yes),
        (vec![b.clone(), wait("P30D")], Truth::No),
        (vec![wait("P30D"), b.clone()], Truth::Yes),
        (vec![atom("dateTime", "gteq", "2026-05-05T00:00:00Z"), a.clone()], Truth::No),
        (vec![atom("dateTime", "gteq", "2026-05-05T00:00:00Z"), b], Truth::Yes),
    ] {
        let said = json!({"andSequence": {"@list": parts}});
        assert_eq!(answer(&terms(&said), facts), truth, "{said}");
    }
    assert_eq!(answer(&terms(&json!({"andSequence": [a]})), Facts::default()), Truth::Unknown);
}

/// Duties before, during and after; consequences; remedies.
#[test]
fn duties_stand_in_the_way_when_they_are_due() {
    use Deed::{Done, Open, Violated};
    use Truth::{No, Unknown, Yes};
    let consent = json!({"permission": [{"action": "use", "duty": [{"action": "obtainConsent"}]}]});
    let fine = json!({"permission": [{"action": "use", "duty": [
        {"action": "inform", "consequence": [{"action": "compensate"}]}]}]});
    let late = json!({"permission": [{"action": "use"}], "obligation": [
        {"action": "inform", "constraint": [atom("dateTime", "lteq", "2026-05-01T00:00:00Z")]}]});
    let soon = json!({"permission": [{"action": "use"}], "obligation": [
        {"action": "inform", "constraint": [atom("dateTime", "lteq", "2026-07-01T00:00:00Z")]}]});
    let track = json!({"permission": [{"action": "use", "duty": [{"action": "acceptTracking"}]}]});
    let remedy = json!({"permission": [{"action": "use"}],
        "prohibition": [{"action": "sell", "remedy": [{"action": "inform"}]}]});
    let (first, besides) = ("permission[0].duty[0]", "permission[0].duty[0].consequence[0]");
    let (owed, heal) = ("obligation[0]", "prohibition[0].remedy[0]");
    let infringed = ["prohibition[0]"];
    for (rules, deeds, infringed, truth) in [
        (&consent, vec![], &[][..], Unknown),
        (&consent, vec![(first, Done)], &[], Yes),
        (&consent, vec![(first, Open)], &[], No),
        (&consent, vec![(first, Violated)], &[], No),
        (&fine, vec![(first, Violated)], &[], Unknown),
        (&fine, vec![(first, Violated), (besides, Done)], &[], Yes),
        (&fine, vec![(first, Violated), (besides, Open)], &[], No),
        (&fine, vec![(first, Done)], &[], Yes),
        (&late, vec![], &[], Yes),
        (&late, vec![(owed, Open)], &[], No),
        (&late, vec![(owed, Done)], &[], Yes),
        (&soon, vec![(owed, Open)], &[], Yes),
        (&soon, vec![(owed, Violated)], &[], No),
        (&track, vec![], &[], Yes),
        (&track, vec![(first, Open)], &[], Yes),
        (&track, vec![(first, Violated)], &[], No),
        (&remedy, vec![], &[], Yes),
        (&remedy, vec![], &infringed, Unknown),
        (&remedy, vec![(heal, Open)], &infringed, No),
        (&remedy, vec![(heal, Done)], &infringed, Yes),
    ] {
        let it = understand(&policy(rules.clone())).unwrap();
        let facts = Facts { deeds: &deeds, infringed, ..Facts::default() };
        assert_eq!(answer(&it, facts), truth, "{rules} {deeds:?}");
        // Of these only consent and tracking are kept by a node.
        let kept = [&consent, &track].contains(&rules);
        assert_eq!(compile(&policy(rules.clone())).is_ok(), kept, "{rules}");
    }
}

#[test]
fn conflicts_are_resolved_as_the_policy_says() {
    let rules = |conflict: &str| {
        let mut it =
            json!({"permission": [{"action": "use"}], "prohibition": [{"action": "print"}]});
        if !conflict.is_empty() {
            it["conflict"] = conflict.into();
        }
        understand(&policy(it)).unwrap()
    };
    for (conflict, void, truth) in [
        ("", true, Truth::No),
        ("invalid", true, Truth::No),
        ("prohibit", false, Truth::No),
        ("perm", false, Truth::Yes),
    ] {
        let terms = rules(conflict);
        let request = Request::new(at(NOW), Use::Plain, "did:web:me");
        let why = evaluate(&terms, &request).why;
        assert_eq!(why.truth, truth, "{conflict}");
        let said = (why.render(Lang::Zh), why.render(Lang::En));
        assert_eq!(said.0.contains("策略整体无效"), void, "{}", said.0);
        assert_eq!(said.1.contains("make the whole policy void"), void, "{}", said.1);
    }
}

#[test]
fn rules_may_have_parties_and_assets_of_their_own() {
    let rules =
        json!({"permission": [{"action": "use", "target": "urn:all", "assignee": "urn:club"}]});
    let it = understand(&policy(rules.clone())).unwrap();
    let club = ["urn:club"];
    let all = ["urn:all"];
    let known = Facts {
        target: Some("urn:x"),
        target_in: Some(&all),
        recipient_in: Some(&club),
        ..Facts::default()
    };
    for (facts, truth) in [
        (known, Truth::Yes),
        (Facts { recipient_in: Some(&[]), ..known }, Truth::No),
        (Facts { recipient_in: None, ..known }, Truth::Unknown),
        (Facts { target_in: Some(&[]), ..known }, Truth::No),
        (Facts { target: Some("urn:all"), target_in: None, ..known }, Truth::Yes),
        (Facts { target: None, target_in: None, ..known }, Truth::Unknown),
    ] {
        assert_eq!(answer(&it, facts), truth, "{facts:?}");
    }
    let refused: Vec<String> =
        compile(&policy(rules)).unwrap_err().into_iter().map(|it| it.term).collect();
    assert_eq!(refused, ["target", "assignee"]);
}
