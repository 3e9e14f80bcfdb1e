//! The pure crates take time, randomness and ids as arguments and do no IO; the domain's types do not serialize.

use super::Violation;
use super::files::{Entry, Tree, code, has_word};

/// Crates that the simulator runs in one thread from one seed.
const PURE: &[&str] = &[
    "crates/attest/",
    "crates/crypto/",
    "crates/ledger/",
    "crates/space/",
    "crates/mpc/",
    "crates/mark/",
    "crates/noise/",
];
/// What would let the world in.
const WORLD: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "Local::now",
    "Uuid::now_v7",
    "Uuid::new_v4",
    "thread_rng",
    "rand::rng",
    "SysRng",
    "OsRng",
    "async fn",
];
/// Parts of the standard library that may not be imported in a group either (`use std::{fs, io}`).
const WORLD_MODULES: &[&str] = &["fs", "net", "thread", "process", "env"];
/// Dependencies that would.
const WORLD_CRATES: &[&str] =
    &["tokio", "async-std", "reqwest", "hyper", "axum", "sqlx", "rand", "getrandom", "rustix"];

pub(super) fn pure_crates_stay_pure(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in
        tree.files.iter().filter(|file| PURE.iter().any(|folder| file.path.starts_with(folder)))
    {
        if file.path.ends_with(".rs") {
            violations.extend(file.production().filter_map(|(number, line)| {
                let word = world_word(code(line))?;
                let why = format!(
                    "`{word}` in a pure crate: time, randomness, ids and IO come from the caller"
                );
                Some(Violation::new(&file.path, number, why))
            }));
        } else if file.path.ends_with("/Cargo.toml") {
            violations.extend(impure_dependencies(file));
        }
    }
    violations
}

fn world_word(line: &str) -> Option<&str> {
    if let Some(word) = WORLD.iter().find(|word| has_word(line, word)) {
        return Some(word);
    }
    let group = line.split_once("std::{")?.1;
    WORLD_MODULES.iter().find(|module| has_word(group, module)).copied()
}

fn impure_dependencies(file: &Entry) -> Vec<Violation> {
    let Ok(manifest) = file.text.parse::<toml::Table>() else {
        return vec![Violation::new(&file.path, 1, "is no valid TOML")];
    };
    let names = manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(toml::Table::keys);
    let impure = names.filter(|name| WORLD_CRATES.contains(&name.as_str()));
    impure
        .map(|name| Violation::new(&file.path, 1, format!("a pure crate may not depend on {name}")))
        .collect()
}

/// Only `wire/` derives serde in the domain: what peers see changes on purpose, not with a renamed field.
pub(super) fn domain_types_are_not_serialized(tree: &Tree) -> Vec<Violation> {
    let domain = tree.rust().filter(|file| file.path.starts_with("crates/space/src/"));
    let mut violations = Vec::new();
    for file in domain.filter(|file| !file.path.starts_with("crates/space/src/wire/")) {
        let mut in_derive = false;
        for (number, line) in file.production() {
            let line = code(line);
            in_derive |= line.contains("derive(");
            if (in_derive || line.contains("impl"))
                && ["Serialize", "Deserialize"].iter().any(|w| has_word(line, w))
            {
                violations.push(Violation::new(
                    &file.path,
                    number,
                    "serde on a domain type: only `wire/` may",
                ));
            }
            in_derive &= !line.contains(")]");
        }
    }
    violations
}
