use serde_json::{Value as Json, json};

use super::*;
use crate::policy::compile::{compile, compile_signed};
use crate::policy::usage::Use;
use crate::time::Time;
use crate::wire::odrl::OdrlPolicy;

fn policy(rules: &Json) -> crate::policy::model::Policy {
    let mut it = json!({"@id": "urn:o", "@type": "Offer"});
    it.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    OdrlPolicy::parse(it).unwrap().model
}

fn atom(left: &str, op: &str, right: &str) -> Json {
    json!({"leftOperand": left, "operator": op, "rightOperand": right})
}

#[test]
fn it_must_be_said_and_nothing_may_forbid_it() {
    let until = |day: &str| atom("dateTime", "lteq", &format!("2026-06-{day}T00:00:00Z"));
    let rule = |action: &str, all: &[Json]| json!([{"action": action, "constraint": all}]);
    let prohibited =
        |action| Err(Refused::Prohibited { rule: "prohibition[0]".to_owned(), action });
    let derive = || rule("derive", &[]);
    let now = Time::parse("2026-06-15T00:00:00Z").unwrap();
    let request = Request::new(now, Use::Plain, "did:web:me");
    for (rules, expected) in [
        (json!({"permission": rule("use", &[])}), Err(Refused::Unsaid)),
        (json!({"permission": rule("read", &[])}), Err(Refused::Unsaid)),
        (json!({"permission": derive()}), Ok(())),
        (json!({"permission": rule("distribute", &[])}), Ok(())),
        (json!({"permission": rule("derive", &[until("30")])}), Ok(())),
        (json!({"permission": rule("derive", &[atom("recipient", "eq", "did:web:me")])}), Ok(())),
        (
            json!({"permission": derive(), "prohibition": rule("distribute", &[])}),
            prohibited(Action::Distribute),
        ),
        (
            json!({"permission": derive(), "prohibition": rule("use", &[]), "conflict": "prohibit"}),
            prohibited(Action::Use),
        ),
        (
            // A permission that wins elsewhere does not here.
            json!({"permission": rule("distribute", &[]), "prohibition": rule("derive", &[]), "conflict": "perm"}),
            prohibited(Action::Derive),
        ),
        (
            json!({"permission": derive(), "prohibition": rule("distribute", &[until("01")])}),
            Ok(()),
        ),
        (
            json!({"permission": derive(), "prohibition": rule("distribute", &[atom("purpose", "eq", "x")])}),
            prohibited(Action::Distribute),
        ),
    ] {
        let terms = compile(&policy(&rules)).unwrap();
        assert_eq!(permitted(&terms, &request), expected, "{rules}");
    }
    for narrowed in [
        rule("derive", &[until("14")]),
        rule("derive", &[atom("recipient", "eq", "did:web:other")]),
        rule("distribute", &[atom("purpose", "eq", "quality")]),
    ] {
        let terms = compile(&policy(&json!({"permission": narrowed}))).unwrap();
        let Err(Refused::Unmet(why)) = permitted(&terms, &request) else { panic!("{terms:?}") };
        assert_eq!(why[0].rule, "permission[0]");
    }
}

#[test]
fn what_no_publication_shows_is_not_signed() {
    for it in [
        atom("count", "lteq", "3"),
        atom("purpose", "eq", "quality"),
        atom("elapsedTime", "lteq", "P1D"),
        atom("tidm:assigneeRole", "eq", "auditor"),
        atom("tidm:columns", "eq", "a"),
    ] {
        let rules =
            json!({"permission": [{"action": "use"}, {"action": "derive", "constraint": [it]}]});
        let why = compile(&policy(&rules)).unwrap_err();
        assert!(why.iter().any(|it| it.why == OTHERWISE), "{why:?}");
    }
    let other = json!({"permission": [{"action": "derive"}],
        "obligation": [{"action": "nextPolicy", "target": "urn:policy:7"}]});
    assert!(compile(&policy(&other)).unwrap_err()[0].why.starts_with("names other terms"));
}

/// Whether rules that were signed although they overlap are in conflict no publication shows, so that nobody may.
#[test]
fn what_may_be_void_permits_no_products() {
    let rules = |strategy: &str| {
        json!({"permission": [{"action": "use"}, {"action": "derive"}], "conflict": strategy,
            "prohibition": [{"action": "display", "constraint": [atom("purpose", "eq", "resale")]}]})
    };
    let now = Time::parse("2026-06-15T00:00:00Z").unwrap();
    let request = Request::new(now, Use::Plain, "did:web:me");
    for (strategy, void) in [("invalid", true), ("perm", false)] {
        let terms = compile_signed(&policy(&rules(strategy))).unwrap();
        let got = permitted(&terms, &request);
        assert_eq!(
            matches!(&got, Err(Refused::Unmet(why)) if why[0].en.contains("void")),
            void,
            "{got:?}"
        );
        assert_eq!(got.is_ok(), !void);
    }
}
