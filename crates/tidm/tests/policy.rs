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
    let atom = |left: &str, op: &str, right: &str| {
        format!(r#"{{"leftOperand": "{left}", "operator": "{op}", "rightOperand": "{right}"}}"#)
    };
    let all = [
        atom("tidm:assigneeRole", "eq", "consumer"),
        atom("spatial", "isPartOf", "CN"),
        atom("tidm:networkAddress", "eq", "10.1.0.0/16"),
        atom("version", "gteq", "2"),
        atom("tidm:application", "eq", "urn:app:7"),
        atom("event", "gteq", "urn:event:recall"),
    ];
    let offer = format!(
        r#"{{"@id": "urn:o", "@type": "Offer", "permission": [{{"action": "use", "constraint": [{}]}}]}}"#,
        all.join(",")
    );
    std::fs::write(dir.path().join("offer.json"), offer).unwrap();
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
