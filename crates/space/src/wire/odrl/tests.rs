//! Lossless echo, tolerance, bounds; and the examples of the protocol itself when they are at hand.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn dialects_say_the_same() {
    let plain = json!({"@id": "o", "@type": "Offer", "permission": [{"action": "use", "constraint": [
        {"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}]}]});
    let model = OdrlPolicy::parse(plain).unwrap().model;
    let ns = "http://www.w3.org/ns/odrl/2/";
    for dialect in [
        json!({"@id": "o", "@type": "odrl:Offer", "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": {
            "odrl:leftOperand": {"@id": "odrl:count"}, "odrl:operator": {"@id": "odrl:lteq"}, "odrl:rightOperand": "5"}}}),
        json!({"uid": "o", "@type": "Offer", "permission": [{"action": [format!("{ns}use")], "constraint": [
            {"leftOperand": format!("{ns}count"), "operator": format!("{ns}lteq"), "rightOperand": 5}]}]}),
        json!({"@id": "o", "@type": "Offer", "prohibition": [], "permission": [{"@type": "Permission", "action": "use",
            "constraint": [{"@type": "Constraint", "leftOperand": "count", "operator": "lteq", "rightOperand": {"@value": "5"}}]}]}),
    ] {
        let read = OdrlPolicy::parse(dialect.clone()).unwrap().model;
        assert_eq!(Policy { verbatim: None, ..read }, model, "{dialect}");
    }
}

/// What a foreign connector offers, as strange as connectors write it.
fn foreign() -> Json {
    json!({"@id": "b64:x:y:z", "@type": "odrl:Offer", "odrl:assigner": {"@id": "did:web:p"}, "odrl:target": {"@id": "asset"},
        "edc:note": {"kept": [1, 2.5, null]}, "odrl:obligation": [], "odrl:profile": "urn:profile:x",
        "odrl:permission": [{"odrl:action": {"@id": "odrl:use"}, "name": "kept too", "odrl:constraint": {
            "odrl:leftOperand": {"@id": "cx:Membership"}, "odrl:operator": {"@id": "odrl:eq"}, "odrl:rightOperand": 5}},
            {"odrl:action": {"@id": "odrl:read"}}]})
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

#[test]
fn a_foreign_offer_is_echoed_verbatim() {
    let offer = foreign();
    let mut policy = OdrlPolicy::parse(offer.clone()).unwrap().model;
    assert_eq!(to_json(&policy), offer);
    // Naming the target that it names already changes nothing; another one changes that alone.
    policy.target = Some(id("asset"));
    assert_eq!(to_json(&policy), offer);
    policy.target = Some(id("other"));
    let json = to_json(&policy);
    assert_eq!((&json["target"], json.get("odrl:target")), (&"other".into(), None));
    policy.target = None;
    let json = to_json(&policy);
    assert!(json.get("target").is_none() && json.get("odrl:target").is_none());
}

#[test]
fn an_agreement_is_its_offer_but_for_the_named_parts() {
    let offer = foreign();
    let policy = OdrlPolicy::parse(offer.clone()).unwrap().model;
    let mut agreed = policy.clone();
    agreed.kind = Kind::Agreement;
    agreed.id = id("urn:a");
    agreed.assignee = Some(id("did:web:c"));
    let json = to_json(&agreed);
    for (key, value) in offer.as_object().unwrap() {
        if !["@id", "@type"].contains(&key.as_str()) {
            assert_eq!(json.get(key), Some(value), "{key}");
        }
    }
    assert_eq!((&json["@type"], &json["assignee"]), (&"Agreement".into(), &"did:web:c".into()));
    let back = OdrlPolicy::parse(json).unwrap().model;
    assert!(back.same_terms(&policy));
    assert_eq!((back.kind, back.id, back.assignee), (agreed.kind, agreed.id, agreed.assignee));
}

/// A document that says other rules than the model is never sent.
#[test]
fn what_is_echoed_are_the_models_rules() {
    let mut policy = OdrlPolicy::parse(foreign()).unwrap().model;
    policy.permissions.truncate(1);
    let json = to_json(&policy);
    assert_eq!(OdrlPolicy::parse(json.clone()).unwrap().model.permissions, policy.permissions);
    assert!(json.get("edc:note").is_none(), "{json}");
}

/// What the model says in full is not kept twice: our own offers cost nothing.
#[test]
fn our_own_form_needs_no_copy() {
    let own = json!({"@id": "o", "@type": "Offer", "permission": [{"action": "use"}]});
    assert_eq!(OdrlPolicy::parse(own).unwrap().model.verbatim, None);
    assert!(OdrlPolicy::parse(foreign()).unwrap().model.verbatim.is_some());
}

#[test]
fn nasty_policies_are_refused_not_fatal() {
    let deep = |n: usize| {
        let atom = json!({"leftOperand": "count", "operator": "lteq", "rightOperand": "5"});
        let nested = (0..n).fold(atom, |inner, _| json!({ "and": [inner] }));
        json!({"@id": "o", "permission": [{"action": "use", "constraint": [nested]}]}).to_string()
    };
    let wide = |rules: usize| {
        json!({"@id": "o", "permission": vec![json!({"action": "use"}); rules]}).to_string()
    };
    let opened = "[".repeat(200_000);
    let nest = format!("{{\"@id\":\"o\",\"x\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let long = " ".repeat(MESSAGE_BYTES + 1);
    let many_constraints = json!({"@id": "o", "permission": [{"action": "use", "constraint":
        vec![json!({"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}); POLICY_CONSTRAINTS + 1]}]}).to_string();
    for (text, ok) in [
        (deep(POLICY_DEPTH - 1), true),
        (deep(POLICY_DEPTH), false),
        (wide(POLICY_RULES), true),
        (wide(POLICY_RULES + 1), false),
        (many_constraints, false),
        (opened, false),
        (nest, false),
        (long, false),
        (String::new(), false),
        ("null".into(), false),
        ("{}".into(), false),
        (r#"{"@id":""}"#.into(), false),
        (r#"{"@id":"o"}"#.into(), true),
        (r#"{"@id":"o","@type":"Ticket"}"#.into(), false),
        (r#"{"@id":"o","permission":5}"#.into(), false),
        (r#"{"@id":"o","permission":[{}]}"#.into(), false),
        (r#"{"@id":"o","permission":[{"action":[]}]}"#.into(), false),
        (r#"{"@id":"o","permission":[{"action":"use","constraint":[{}]}]}"#.into(), false),
        (r#"{"@id":"o","permission":[{"action":"use","constraint":[{"and":[],"or":[]}]}]}"#.into(), false),
        (r#"{"@id":"o","permission":[{"action":"use","constraint":[{"and":[],"leftOperand":"count"}]}]}"#.into(), false),
        (r#"{"@id":"o","permission":[{"action":"use"}],"odrl:permission":[]}"#.into(), false),
        (r#"{"@id":"o","target":["a","b"]}"#.into(), false),
        (r#"{"@id":"o","assignee":{"@id":"a","refinement":[]}}"#.into(), false),
        (r#"{"@id":"o","conflict":"maybe"}"#.into(), false),
    ] {
        assert_eq!(parse(text.as_bytes()).is_ok(), ok, "{}", text.chars().take(120).collect::<String>());
    }
    assert_eq!(parse(b"\xff\xfe"), Err(BadPolicy::Json));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-z:0-9 ]{0,8}".prop_map(Value::Text),
        ("[a-z]{1,4}", "[a-z]{1,4}").prop_map(|(text, datatype)| Value::Typed { text, datatype }),
        "[a-z]{1,4}".prop_map(Value::Reference),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        proptest::collection::vec(inner, 0..3).prop_map(Value::List)
    })
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let left = prop_oneof![
        proptest::sample::select(Operand::KNOWN),
        "x:[a-z]{1,5}".prop_map(Operand::Unknown)
    ];
    let op = proptest::sample::select(Operator::KNOWN);
    let leaf = (left, op, value(), proptest::option::of("[A-Z]{3}")).prop_map(
        |(left, op, right, unit)| {
            Constraint::Atomic(Atomic { left, op, right, unit, unsupported: vec![] })
        },
    );
    leaf.prop_recursive(3, 12, 3, |inner| {
        let parts = proptest::collection::vec(inner, 0..3);
        (parts, 0..4).prop_map(|(parts, n)| match n {
            0 => Constraint::And(parts),
            1 => Constraint::Or(parts),
            2 => Constraint::Xone(parts),
            _ => Constraint::AndSequence(parts),
        })
    })
}

/// Rules of every list, with duties, remedies and consequences, which may have some in their turn.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule = bare_rule().prop_recursive(2, 6, 2, |inner| {
        let list = || proptest::collection::vec(inner.clone(), 0..2);
        (bare_rule(), list(), list(), list()).prop_map(|(rule, duties, remedies, consequences)| {
            Rule { duties, remedies, consequences, ..rule }
        })
    });
    proptest::collection::vec(rule, 0..3)
}

fn bare_rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        proptest::sample::select(Action::KNOWN),
        "x:[a-z]{1,5}".prop_map(Action::Unknown)
    ];
    let party = || proptest::option::of("[a-z]{1,5}".prop_map(|it| id(&it)));
    (action, proptest::collection::vec(constraint(), 0..3), party(), party()).prop_map(
        |(action, all, target, assignee)| Rule { target, assignee, ..Rule::new(action, all) },
    )
}

proptest! {
    #[test]
    fn models_survive_the_wire(
        (permissions, prohibitions, obligations) in (rules(), rules(), rules()),
        target in proptest::option::of("[a-z]{1,5}"),
        kind in prop_oneof![Just(Kind::Offer), Just(Kind::Agreement), Just(Kind::Set)],
        conflict in proptest::option::of(prop_oneof![Just(Conflict::Permission), Just(Conflict::Prohibition), Just(Conflict::Invalid)]),
    ) {
        let mut policy = Policy::new(Id::parse("urn:o").unwrap(), kind);
        policy.target = target.map(|t| Id::parse(&t).unwrap());
        policy.permissions = permissions;
        policy.prohibitions = prohibitions;
        policy.obligations = obligations;
        policy.conflict = conflict;
        let back = parse(to_json(&policy).to_string().as_bytes()).unwrap();
        prop_assert_eq!(back.model, policy);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes).is_ok() || parse(&bytes).is_err());
    }
}

/// Example files of the protocol, read from the conformance kit beside the project.
pub(crate) fn examples(folder: &str) -> Option<Vec<(String, Json)>> {
    let kit = std::env::var_os("TIDM_CONFORMANCE").map(std::path::PathBuf::from).or_else(|| {
        let start = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        start.ancestors().map(|dir| dir.join("shared/conformance")).find(|dir| dir.is_dir())
    })?;
    let mut files: Vec<_> =
        std::fs::read_dir(kit.join("dsp").join(folder).join("example")).ok()?.flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let read = |it: std::fs::DirEntry| {
        let text = std::fs::read(it.path()).unwrap();
        (it.file_name().to_string_lossy().into_owned(), serde_json::from_slice(&text).unwrap())
    };
    Some(files.into_iter().map(read).collect())
}

#[test]
fn the_protocols_examples_parse_and_write_back() {
    let Some(all) = examples("negotiation") else {
        println!(
            "SKIPPED: the DSP examples are not beside the project (shared/conformance/dsp/negotiation/example)"
        );
        return;
    };
    let mut seen = 0;
    for (file, message) in all {
        for policy in [message.get("offer"), message.get("agreement")].into_iter().flatten() {
            let it =
                OdrlPolicy::parse(policy.clone()).unwrap_or_else(|why| panic!("{file}: {why}"));
            assert!(it.model.unsupported.is_empty() && it.model.extra.is_empty(), "{file}");
            assert_eq!(&to_json(&it.model), policy, "{file}");
            let mut written = to_json(&Policy { verbatim: None, ..it.model });
            // The one liberty taken: `profile` is always written as an array.
            if policy.get("profile").is_some_and(Json::is_string) {
                written["profile"] = policy["profile"].clone();
            }
            assert_eq!(&written, policy, "{file}");
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} policies in the examples");
}
