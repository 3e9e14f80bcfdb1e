//! One row per term: what compiles, and what is refused under which name.

use serde_json::{Value as Json, json};

use super::*;
use crate::lang::Lang;
use crate::policy::eval::{Request, evaluate};
use crate::time::Time;
use crate::wire::odrl::OdrlPolicy;

fn refused(policy: &Json) -> Vec<String> {
    let policy = OdrlPolicy::parse(policy.clone()).unwrap();
    compile(&policy.model).err().unwrap_or_default().into_iter().map(|r| r.term).collect()
}

fn with_constraint(left: &str, op: &str, right: Json) -> Json {
    let atom = json!({"leftOperand": left, "operator": op, "rightOperand": right});
    json!({"@id": "o", "@type": "Offer", "permission": [{"action": "use", "constraint": [atom]}]})
}

#[test]
fn constraints_compile_or_are_refused_by_name() {
    for (left, op, right, ok) in [
        ("dateTime", "lteq", json!("2026-06-30T00:00:00Z"), true),
        ("dateTime", "lteq", json!("2023-12-31T06:00Z"), true),
        ("dateTime", "term-lteq", json!("2026-06-30T00:00:00Z"), true),
        (
            "odrl:dateTime",
            "odrl:gteq",
            json!({"@value": "2026-06-30T08:00:00+08:00", "@type": "xsd:dateTime"}),
            true,
        ),
        ("dateTime", "lteq", json!("2026-06-30T00:00:00"), false),
        ("dateTime", "lteq", json!("2026-06-30"), false),
        ("dateTime", "eq", json!("2026-06-30T00:00:00Z"), false),
        ("count", "lteq", json!("5"), true),
        ("count", "eq", json!(5), true),
        ("count", "lt", json!("5"), true),
        ("count", "gteq", json!("5"), false),
        ("count", "lteq", json!("-5"), false),
        ("count", "lteq", json!("5.5"), false),
        ("count", "lteq", json!("99999999999999999999"), false),
        ("count", "lteq", json!(["5"]), false),
        ("elapsedTime", "lteq", json!("P30D"), true),
        ("elapsedTime", "eq", json!("P3M"), true),
        ("elapsedTime", "gt", json!("P3M"), false),
        ("elapsedTime", "lteq", json!("30 days"), false),
        ("delayPeriod", "gteq", json!("PT1H"), true),
        ("delayPeriod", "lteq", json!("PT1H"), false),
        ("purpose", "isAnyOf", json!(["a", "b"]), true),
        ("purpose", "eq", json!(["a", "b"]), false),
        ("purpose", "isNoneOf", json!(["a"]), true),
        ("purpose", "isAllOf", json!(["a"]), false),
        ("purpose", "isAnyOf", json!([]), false),
        ("purpose", "eq", json!(" "), false),
        ("purpose", "eq", json!({"a": 1}), false),
        ("recipient", "eq", json!({"@id": "did:web:a"}), true),
        ("tidm:columns", "isAnyOf", json!(["t", "p"]), true),
        ("tidm:columns", "neq", json!("t"), false),
        ("tidm:aggregatesOnly", "eq", json!("true"), true),
        ("tidm:aggregatesOnly", "eq", json!("false"), false),
        ("tidm:minGroup", "gteq", json!("5"), true),
        ("tidm:minGroup", "lteq", json!("5"), false),
        ("tidm:outputRows", "lteq", json!("100"), true),
        ("tidm:outputRows", "lt", json!("0"), false),
        ("tidm:outputBytes", "lteq", json!("100"), true),
        ("tidm:deliveryRate", "lteq", json!("1000000"), true),
        ("tidm:deliveryRate", "gteq", json!("1000000"), false),
        ("tidm:deliveryConnections", "lteq", json!("4"), true),
        ("tidm:deliveryConnections", "lt", json!("0"), false),
        ("tidm:keyOperator", "eq", json!("did:web:operator.example"), true),
        ("tidm:keyOperator", "eq", json!("the operator"), false),
        ("tidm:keyOperator", "isAnyOf", json!(["did:web:a", "did:web:b"]), false),
        ("tidm:kindOfUse", "isAnyOf", json!(["query", "sealed-table"]), true),
        ("tidm:kindOfUse", "eq", json!("teleport"), false),
        ("tidm:enforcementLevel", "gteq", json!("E2"), true),
        ("tidm:enforcementLevel", "lteq", json!("E2"), false),
        ("payAmount", "eq", json!("5"), false),
        ("spatial", "eq", json!("_:EU"), false),
        ("spatial", "isAnyOf", json!(["CN-32", "DE"]), true),
        ("tidm:assigneeRole", "eq", json!("auditor"), true),
        ("tidm:networkAddress", "isAnyOf", json!(["10.1.0.0/16", "2001:db8::/32"]), true),
        ("tidm:networkAddress", "eq", json!("10.1.2.3/8"), false),
        ("version", "gteq", json!("2"), true),
        ("tidm:encryptionMode", "eq", json!("enc/cipher"), true),
        ("tidm:deliveryMethod", "eq", json!("dlv/api"), true),
        ("systemDevice", "eq", json!("urn:d"), false),
        ("event", "gteq", json!("urn:e"), false),
        ("Membership", "eq", json!("active"), false),
        ("tidm:unheard", "eq", json!("x"), false),
    ] {
        let got = refused(&with_constraint(left, op, right.clone()));
        let name = left.trim_start_matches("odrl:").to_owned();
        assert_eq!(got, if ok { vec![] } else { vec![name] }, "{left} {op} {right}");
    }
    assert_eq!(refused(&with_constraint("count", "approximately", json!("5"))), ["approximately"]);
}

#[test]
fn whole_policies_are_refused_for_what_they_would_lose() {
    let atom = json!({"leftOperand": "count", "operator": "lteq", "rightOperand": "5"});
    let beyond = json!({"leftOperand": "count", "operator": "gt", "rightOperand": "5"});
    let limit = json!({"leftOperand": "tidm:minGroup", "operator": "gteq", "rightOperand": "5"});
    let pay = |amount: &str, currency: &str| {
        json!({"action": "compensate", "constraint": [
            {"leftOperand": "payAmount", "operator": "eq", "rightOperand": amount, "unit": currency}]})
    };
    for (change, terms) in [
        (json!({"title": "harmless"}), &[][..]),
        (json!({"inheritFrom": "other"}), &["inheritFrom"]),
        (json!({"profile": "https://other.example"}), &["https://other.example"]),
        (json!({"profile": [PROFILE]}), &[]),
        (json!({"permission": [{"action": "sell"}]}), &["sell"]),
        (json!({"permission": [{"action": "delete"}]}), &["delete"]),
        (json!({"permission": [{"action": "use", "refinement": []}]}), &["refinement"]),
        (
            json!({"permission": [{"action": {"@id": "use", "refinement": []}}]}),
            &["refined action"],
        ),
        (json!({"permission": [{"action": "use", "constraint": [{"and": []}]}]}), &[]),
        (json!({"permission": [{"action": "use", "constraint": [{"or": []}]}]}), &["constraint"]),
        (
            json!({"permission": [{"action": "use", "constraint": [{"or": [atom, limit]}]}]}),
            &["tidm:minGroup"],
        ),
        (json!({"permission": [{"action": "use", "constraint": [{"and": [atom, limit]}]}]}), &[]),
        (json!({"prohibition": [{"action": "use", "constraint": [limit]}]}), &["tidm:minGroup"]),
        (json!({"prohibition": [{"action": "use"}]}), &["use"]),
        (json!({"prohibition": [{"action": "use"}], "conflict": "perm"}), &[]),
        // What some use might do both under is no policy that anybody could keep.
        (json!({"prohibition": [{"action": "read"}]}), &["read"]),
        (json!({"prohibition": [{"action": "read"}], "conflict": "invalid"}), &["read"]),
        (json!({"prohibition": [{"action": "read"}], "conflict": "prohibit"}), &[]),
        (json!({"prohibition": [{"action": "read", "constraint": [atom]}]}), &["count"]),
        (json!({"prohibition": [{"action": "read", "constraint": [beyond]}]}), &["read"]),
        (
            json!({"permission": [{"action": "use", "constraint": [atom]}],
                "prohibition": [{"action": "read", "constraint": [beyond]}]}),
            &[],
        ),
        (json!({"prohibition": [{"action": "distribute"}]}), &[]),
        (json!({"obligation": [{"action": "delete"}]}), &[]),
        (json!({"obligation": [{"action": "inform"}]}), &[]),
        (json!({"obligation": [{"action": "acceptTracking"}]}), &[]),
        (json!({"permission": [{"action": "use", "duty": [{"action": "inform"}]}]}), &[]),
        (json!({"obligation": [{"action": "inform", "constraint": [atom]}]}), &["inform"]),
        (json!({"obligation": [{"action": "obtainConsent"}]}), &[]),
        (
            json!({"obligation": [{"action": "obtainConsent", "constraint": [atom]}]}),
            &["obtainConsent"],
        ),
        (json!({"obligation": [{"action": "reviewPolicy"}]}), &["reviewPolicy"]),
        (
            json!({"obligation": [{"action": "inform", "informedParty": "urn:x"}]}),
            &["informedParty"],
        ),
        (
            json!({"obligation": [{"action": "inform", "consequence": [{"action": "delete"}]}]}),
            &["delete"],
        ),
        (json!({"obligation": [{"action": "delete"}, {"action": "delete"}]}), &[]),
        (json!({"obligation": [pay("99.50", "CNY")]}), &[]),
        (json!({"obligation": [pay("99.50", "http://dbpedia.org/resource/EUR")]}), &[]),
        (json!({"obligation": [pay("99.50", "Yuan")]}), &["payAmount"]),
        (json!({"obligation": [pay("-1", "CNY")]}), &["payAmount"]),
        (json!({"obligation": [pay("1", "CNY"), pay("2", "CNY")]}), &["compensate"]),
        (json!({"obligation": [{"action": "compensate"}]}), &["compensate"]),
    ] {
        let mut policy = json!({"@id": "o", "@type": "Offer", "permission": [{"action": "use"}]});
        for (key, value) in change.as_object().unwrap() {
            policy[key] = value.clone();
        }
        assert_eq!(refused(&policy), terms, "{policy}");
    }
}

/// What is to be signed may not overlap; what was signed is told use by use, whatever else a node refuses.
#[test]
fn overlapping_rules_are_read_where_they_were_signed() {
    let purpose = json!({"leftOperand": "purpose", "operator": "eq", "rightOperand": "resale"});
    let read = |more: Json| {
        let mut it = json!({"@id": "o", "@type": "Agreement", "permission": [{"action": "use"}],
            "prohibition": [{"action": "read", "constraint": [purpose]}]});
        it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        OdrlPolicy::parse(it).unwrap().model
    };
    let names = |it: Result<Terms, Vec<Refusal>>| -> Vec<String> {
        it.err().into_iter().flatten().map(|it| it.term).collect()
    };
    let policy = read(json!({}));
    assert_eq!(names(compile(&policy)), ["read"]);
    let terms = compile_signed(&policy).unwrap();
    for (purpose, permitted) in [("resale", false), ("quality", true)] {
        let now = Time::parse("2026-06-01T00:00:00Z").unwrap();
        let request = Request {
            purpose: Some(purpose),
            action: Action::Display,
            ..Request::new(now, Use::Query, "did:web:me")
        };
        let decision = evaluate(&terms, &request);
        let (zh, en) = (decision.why.render(Lang::Zh), decision.why.render(Lang::En));
        assert_eq!(decision.permitted().is_ok(), permitted, "{en}");
        assert_eq!(
            zh.contains("✗ 许可（permission[0]）与禁止（prohibition[0]）不冲突，否则策略整体无效"),
            !permitted,
            "{zh}"
        );
        assert_eq!(en.contains("✗ permission[0] and prohibition[0] do not conflict, which would make the whole policy void"), !permitted, "{en}");
    }
    let unknown = read(json!({"profile": "https://other.example"}));
    assert_eq!(names(compile_signed(&unknown)), ["https://other.example"]);
    let settled = read(json!({"conflict": "prohibit"}));
    assert_eq!(compile(&settled), compile_signed(&settled));
}
