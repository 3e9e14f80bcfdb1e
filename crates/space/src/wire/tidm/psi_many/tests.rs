use serde_json::json;

use super::*;
use crate::lease::message::Request;
use crate::policy::usage::Use;
use crate::psi::many::under;
use crate::wire::samples::{self, id};
use crate::wire::schema::Schemas;

fn session() -> Agreed {
    let session = [9; 32];
    let member = |number: usize| Member {
        did: samples::did(&format!("did:web:m{number}.example")),
        under: under(&session, &id(&format!("urn:agreement:{number}"))),
    };
    let proposal = Proposal {
        id: session,
        leader: samples::did("did:web:leader.example"),
        items: 1000,
        key: Key::parse("1:text,2:credit-code;first").unwrap(),
        members: vec![member(1), member(2)],
    };
    let word = |byte: u8| Word { key: [byte; 32], items: 50, signature: format!("a.{byte}.c") };
    Agreed { proposal, words: vec![word(1), word(2)] }
}

fn invitation() -> Invitation {
    Invitation { contract: id("urn:agreement:1"), proposal: session().proposal }
}

fn start() -> Start {
    let agreed = session();
    let (query, items) = (Some(agreed.digest()), Some(agreed.proposal.items));
    let lease = Request { kind: Use::Psi, query, items, ..samples::request(1) };
    Start { agreed, lease }
}

/// What is written is read again, is the fixture, and fits its schema.
#[test]
fn messages_are_their_fixtures_and_fit_their_schemas() {
    let m = id("urn:message:1");
    let invited = write_invitation(&m, &invitation()).body;
    assert_eq!(read_invitation(invited.as_bytes()).unwrap(), (Some(m.clone()), invitation()));
    let word = write_word(&session().words[0]);
    assert_eq!(read_word(word.as_bytes()).unwrap(), session().words[0]);
    let started = write_start(&m, &start()).body;
    assert_eq!(read_start(started.as_bytes()).unwrap(), (Some(m), start()));
    assert_eq!(read_agreed(&agreed_doc(&session())).unwrap(), session());
    for (name, schema, text) in [
        ("psi-many-invitation", include_str!("../schema/psi-many-invitation.json"), invited),
        ("psi-many-word", include_str!("../schema/psi-many-word.json"), word),
        ("psi-many-start", include_str!("../schema/psi-many-start.json"), started),
    ] {
        let document: Value = serde_json::from_str(&text).unwrap();
        let path = format!("{}/src/wire/tidm/fixture/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let pretty = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if std::env::var_os("TIDM_APPROVE").is_some() {
            std::fs::write(&path, &pretty).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, pretty, "{name}: approve with TIDM_APPROVE=1");
        let mut schemas = Schemas::default();
        let schema = schemas.add(serde_json::from_str(schema).unwrap());
        assert_eq!(schemas.check(&schema, &document), Vec::<String>::new(), "{name}");
        let mut bare = document.clone();
        bare.as_object_mut().unwrap().remove("@type");
        assert!(!schemas.check(&schema, &bare).is_empty(), "{name}: a schema that refuses nothing");
    }
}

/// Each of these is refused, and by nothing but its one change.
#[test]
fn hostile_messages_are_refused() {
    let m = id("urn:message:1");
    let whole: Value = serde_json::from_str(&write_start(&m, &start()).body).unwrap();
    let many = |it: &Value, count: usize| Value::Array(vec![it.clone(); count]);
    let member = whole["agreed"]["members"][0].clone();
    let word = whole["agreed"]["words"][0].clone();
    let with = |of: &Value, name: &str, value: Value| {
        let mut it = of.clone();
        it[name] = value;
        it
    };
    let long = "a".repeat(MATCH_WORD_BYTES + 1);
    for (name, value) in [
        ("session", json!("short")),
        ("session", json!(7)),
        ("leader", json!("nobody")),
        ("leader", member["participant"].clone()),
        ("items", json!(0)),
        ("items", json!(u64::MAX)),
        ("items", json!(-1)),
        ("items", json!(999)),
        ("key", json!("part_no:text")),
        ("key", json!("1:words")),
        ("members", json!([])),
        ("members", many(&member, 1)),
        ("members", many(&member, 2)),
        ("members", many(&member, 100_000)),
        ("members", json!([member, 7])),
        ("members", json!([member, with(&member, "contract", json!("00"))])),
        ("words", json!([])),
        ("words", many(&word, 2)),
        ("words", many(&word, 3)),
        ("words", many(&word, 100_000)),
        ("words", json!([with(&word, "key", json!("AA")), word])),
        ("words", json!([with(&word, "key", json!(vec![1; 32])), word])),
        ("words", json!([whole["agreed"]["words"][1], with(&word, "items", json!(0))])),
        ("words", json!([whole["agreed"]["words"][1], with(&word, "signature", json!(long))])),
        ("words", json!([whole["agreed"]["words"][1], word])),
    ] {
        let mut doc = whole.clone();
        doc["agreed"][name] = value.clone();
        assert!(read_start(doc.to_string().as_bytes()).is_err(), "{name} {value}");
    }
    for lease in [
        Request { query: None, ..start().lease },
        Request { items: Some(999), ..start().lease },
        Request { kind: Use::Query, ..start().lease },
    ] {
        let text = write_start(&m, &Start { lease, ..start() }).body;
        assert_eq!(read_start(text.as_bytes()).unwrap_err().code(), "psi.session");
    }
    let invited = write_invitation(&m, &invitation()).body;
    assert!(read_start(invited.as_bytes()).is_err() && read_word(invited.as_bytes()).is_err());
    for cut in 0..invited.len() {
        assert!(read_invitation(&invited.as_bytes()[..cut]).is_err());
    }
}
