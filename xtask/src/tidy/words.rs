//! Words that do not belong in the repository: left-overs in code, and hosts of package registries anywhere.
//!
//! The words are put together from halves, or this file would break its own rule.

use super::Violation;
use super::files::{Tree, has_word};

/// Files in which people write code.
const CODE: &[&str] = &[".rs", ".ts", ".tsx", ".js", ".css", ".py", ".sh", ".ci/run"];
/// Cargo writes the name of its default registry into its lock files.
const LOCK_FILE: &str = "Cargo.lock";

fn leftovers() -> Vec<String> {
    let halves = [
        ("todo", "!("),
        ("unimplemented", "!("),
        ("FIX", "ME"),
        ("X", "XX"),
        ("for", " now"),
        ("#[", "ignore"),
        ("dbg", "!("),
    ];
    halves.iter().map(|(one, two)| format!("{one}{two}")).collect()
}

fn registry_hosts() -> Vec<String> {
    let halves = [
        ("crates", ".io"),
        ("pypi", ".org"),
        ("python", "hosted"),
        ("npm", "js."),
        ("proxy.go", "lang"),
        ("repo1.ma", "ven"),
        ("repo.ma", "ven"),
        ("maven", ".org"),
        ("deb.deb", "ian"),
        ("security.deb", "ian"),
        ("npmmirror", ".com"),
        ("rs", "proxy"),
    ];
    halves.iter().map(|(one, two)| format!("{one}{two}")).collect()
}

/// Unfinished work is not committed; what is missing stands in the issue, not in a comment.
pub(super) fn no_leftovers(tree: &Tree) -> Vec<Violation> {
    let words = leftovers();
    let code = tree.files.iter().filter(|file| CODE.iter().any(|end| file.path.ends_with(end)));
    let mut violations = Vec::new();
    for file in code {
        for (index, line) in file.text.lines().enumerate() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                violations.push(Violation::new(
                    &file.path,
                    index + 1,
                    format!("`{word}`: finish it or leave it out"),
                ));
            }
        }
    }
    violations
}

/// Packages come through the ordinary clients as each machine has them set up; an address here would pin one.
pub(super) fn no_registry_hosts(tree: &Tree) -> Vec<Violation> {
    let hosts = registry_hosts();
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.rsplit('/').next() != Some(LOCK_FILE)) {
        for (index, line) in file.text.lines().enumerate() {
            if hosts.iter().any(|host| line.contains(host)) {
                violations.push(Violation::new(
                    &file.path,
                    index + 1,
                    "names the host of a package registry",
                ));
            }
        }
    }
    violations
}
