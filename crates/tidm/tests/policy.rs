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
