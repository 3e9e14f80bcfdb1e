//! `tidm policy` as a person calls it: a template, what it says, whether it is sound, what it would answer.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::path::Path;
use std::process::{Command, Output};

fn tidm(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidm"));
    command.current_dir(dir).arg("policy").args(arguments).output().unwrap()
}

fn text(it: &Output) -> String {
    String::from_utf8_lossy(&it.stdout).into_owned()
}

#[test]
fn a_template_is_explained_checked_and_tried() {
    let dir = tempfile::tempdir().unwrap();
    let listed = tidm(dir.path(), &["template"]);
    assert!(listed.status.success() && text(&listed).contains("trial"), "{listed:?}");
    let filled = tidm(dir.path(), &["template", "trial", "uses=5"]);
    assert!(filled.status.success(), "{filled:?}");
    std::fs::write(dir.path().join("offer.json"), &filled.stdout).unwrap();

    for (lang, word) in [("zh", "最多使用 5 次"), ("en", "At most 5 uses")] {
        let said = tidm(dir.path(), &["explain", "offer.json", "--as", "query", "--lang", lang]);
        assert!(said.status.success() && text(&said).contains(word), "{said:?}");
    }
    let sound = tidm(dir.path(), &["check", "offer.json", "--as", "query"]);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    for (uses, code) in [("4", 0), ("5", 3)] {
        let subject = "did:web:firm.example";
        let asked = ["try", "offer.json", "--subject", subject, "--as", "query", "--uses", uses];
        let answer = tidm(dir.path(), &asked);
        assert_eq!(answer.status.code(), Some(code), "{answer:?}");
        assert!(text(&answer).len() > 20, "it says why: {answer:?}");
    }
}

/// Facts that a gate would look up, and one that no gate here has, are told.
#[test]
fn facts_are_told_and_decide() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        atom("tidm:assigneeRole", "eq", "consumer"),
        atom("spatial", "isPartOf", "CN"),
        atom("tidm:networkAddress", "eq", "10.1.0.0/16"),
        atom("version", "gteq", "2"),
        atom("tidm:application", "eq", "urn:app:7"),
        atom("event", "gteq", "urn:event:recall"),
    ];
    offer(dir.path(), &permits(&all));
    let told = [
        ["--role", "consumer"],
        ["--region", "CN-32"],
        ["--address", "10.1.2.3"],
        ["--version", "2"],
        ["--fact", "tidm:application=urn:app:7"],
        ["--event", "urn:event:recall@2026-01-01T00:00:00Z"],
    ];
    // All of them; then each one left out.
    for without in 0..=told.len() {
        let mut asked = vec!["try", "offer.json", "--subject", "did:web:firm.example"];
        let kept = told.iter().enumerate().filter(|(at, _)| *at + 1 != without);
        asked.extend(kept.flat_map(|(_, it)| it));
        let answer = tidm(dir.path(), &asked);
        let code = if without == 0 { 0 } else { 3 };
        assert_eq!(answer.status.code(), Some(code), "{without}: {answer:?}");
    }
}

fn offer(dir: &Path, rules: &str) {
    std::fs::write(
        dir.join("offer.json"),
        format!(r#"{{"@id": "urn:o", "@type": "Offer", {rules}}}"#),
    )
    .unwrap();
}

fn atom(left: &str, op: &str, right: &str) -> String {
    format!(r#"{{"leftOperand": "{left}", "operator": "{op}", "rightOperand": "{right}"}}"#)
}

fn permits(constraints: &[String]) -> String {
    format!(r#""permission": [{{"action": "use", "constraint": [{}]}}]"#, constraints.join(","))
}

/// When it is asked, and for what: each by itself turns the answer.
#[test]
fn time_and_purpose_decide() {
    let dir = tempfile::tempdir().unwrap();
    let from = atom("dateTime", "gteq", "2027-01-01T00:00:00Z");
    let until = atom("dateTime", "lteq", "2027-06-30T00:00:00Z");
    offer(dir.path(), &permits(&[from, until, atom("purpose", "eq", "quality")]));
    for (time, purpose, code) in [
        ("2027-03-01T00:00:00Z", Some("quality"), 0),
        ("2027-06-30T08:00:00+08:00", Some("quality"), 0),
        ("2026-12-31T23:59:59Z", Some("quality"), 3),
        ("2027-06-30T00:00:01Z", Some("quality"), 3),
        ("2027-03-01T00:00:00Z", Some("sale"), 3),
        ("2027-03-01T00:00:00Z", None, 3),
        ("tomorrow", Some("quality"), 1),
    ] {
        let subject = "did:web:firm.example";
        let mut asked = vec!["try", "offer.json", "--subject", subject, "--time", time];
        asked.extend(purpose.into_iter().flat_map(|it| ["--purpose", it]));
        let answer = tidm(dir.path(), &asked);
        assert_eq!(answer.status.code(), Some(code), "{time} {purpose:?}: {answer:?}");
    }
}

/// What can never work is an error with its code and place, and the exit code says so.
#[test]
fn a_check_names_what_cannot_work() {
    let dir = tempfile::tempdir().unwrap();
    let ban = |conflict: &str| {
        let rules = permits(&[atom("count", "lteq", "5")]);
        format!(r#"{rules}, "prohibition": [{{"action": "read"}}]{conflict}"#)
    };
    let late = atom("dateTime", "gteq", "2031-01-01T00:00:00Z");
    let early = atom("dateTime", "lteq", "2030-01-01T00:00:00Z");
    for (rules, code, place, exit) in [
        (ban(""), "conflict.overlap", "prohibition[0]", 1),
        (ban(r#", "conflict": "prohibit""#), "conflict.carved", "prohibition[0]", 0),
        (permits(&[late, early]), "window.empty", "permission[0].constraint[1]", 1),
        (
            permits(&[atom("dateTime", "lteq", "2020-01-01T00:00:00Z")]),
            "window.past",
            "permission[0].constraint[0]",
            1,
        ),
        (
            permits(&[atom("systemDevice", "eq", "urn:connector:7")]),
            "term.refused",
            "permission[0].constraint[0]",
            1,
        ),
    ] {
        offer(dir.path(), &rules);
        let said = tidm(dir.path(), &["check", "offer.json", "--as", "query", "--lang", "en"]);
        assert_eq!(said.status.code(), Some(exit), "{rules}: {said:?}");
        let line = text(&said).lines().find(|it| it.contains(code)).map(str::to_owned);
        assert!(line.is_some_and(|it| it.contains(place)), "{rules}: {said:?}");
    }
}

/// Every kind of use that the policy permits, each term with its level there, and with the one that evidence adds.
#[test]
fn an_explanation_has_every_kind_of_use() {
    let dir = tempfile::tempdir().unwrap();
    for (constraints, kinds, levels, attested) in [
        (
            vec![atom("count", "lteq", "5")],
            &["query", "sealed-table", "sealed-file", "plain"][..],
            &["E2", "E1", "E1", "E0"][..],
            None,
        ),
        (
            vec![atom("count", "lteq", "5"), atom("tidm:executionEnvironment", "eq", "tee")],
            &["sealed-table", "sealed-file"],
            &["E1", "E1"],
            Some("E3"),
        ),
    ] {
        offer(dir.path(), &permits(&constraints));
        let said = tidm(dir.path(), &["explain", "offer.json", "--lang", "en", "--output", "json"]);
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let rows = said["items"].as_array().unwrap();
        let count = rows.iter().filter(|it| it["text"] == "At most 5 uses.");
        let found: Vec<_> =
            count.map(|it| ["kind", "level", "attested"].map(|name| it[name].as_str())).collect();
        let should =
            kinds.iter().zip(levels).map(|(kind, level)| [Some(*kind), Some(*level), attested]);
        let should: Vec<_> = should.collect();
        assert_eq!(found, should, "{rows:?}");
    }
    let one = tidm(dir.path(), &["explain", "offer.json", "--as", "plain", "--lang", "en"]);
    assert!(text(&one).contains("plain") && !text(&one).contains("sealed-table"), "{one:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.json"), "{").unwrap();
    for (arguments, word) in [
        (&["explain", "missing.json"][..], "missing.json"),
        (&["explain", "broken.json"], "broken.json"),
        (&["template", "nothing-like-it"], "nothing-like-it"),
        (&["template", "trial", "uses=many"], "uses"),
        (&["try", "broken.json", "--subject", "no did"], "broken.json"),
    ] {
        let no = tidm(dir.path(), arguments);
        let said = String::from_utf8_lossy(&no.stderr).into_owned() + &text(&no);
        assert!(!no.status.success() && said.contains(word), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
