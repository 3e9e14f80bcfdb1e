//! Each rule with a planted violation, and the checkout itself against all of them.

use super::files::{Entry, Tree};
use super::{Rule, check, floors, links, purity, shape, words};
use crate::place;

fn tree(files: &[(&str, &str)]) -> Tree {
    let entry = |(path, text): &(&str, &str)| Entry {
        path: (*path).to_owned(),
        bytes: u64::try_from(text.len()).unwrap(),
        text: (*text).to_owned(),
    };
    Tree { files: files.iter().map(entry).collect() }
}

/// Lines at which the rule complains about one file.
fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    rule(&tree(&[(path, text)])).into_iter().map(|violation| violation.line).collect()
}

#[test]
fn the_checkout_is_tidy() {
    let violations = check(&place::root().unwrap()).unwrap();
    let shown: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

#[test]
fn long_files_are_found_and_their_tests_do_not_count() {
    let body = "fn x() {}\n".repeat(499);
    let path = "crates/a/src/a.rs";
    assert!(
        lines(
            shape::short_files,
            path,
            &format!("//! A.\n{body}#[cfg(test)]\nmod tests {{\n{body}}}\n")
        )
        .is_empty()
    );
    assert_eq!(lines(shape::short_files, path, &format!("//! A.\n{body}fn y() {{}}\n")), [501]);
    // Declaring the test file early must not hide the rest.
    assert_eq!(
        lines(shape::short_files, path, &format!("//! A.\n#[cfg(test)]\nmod tests;\n{body}{body}")),
        [501]
    );
    assert!(lines(shape::short_files, "crates/a/src/tests.rs", &body.repeat(3)).is_empty());
}

#[test]
fn silent_modules_are_found() {
    assert_eq!(lines(shape::modules_say_what_they_are, "a.rs", "use x;\n"), [1]);
    assert_eq!(lines(shape::modules_say_what_they_are, "a.rs", "//!\nuse x;\n"), [1]);
    assert!(lines(shape::modules_say_what_they_are, "a.rs", "//! What.\n").is_empty());
    assert!(
        lines(shape::modules_say_what_they_are, "crates/a/src/b/tests.rs", "use x;\n").is_empty()
    );
}

#[test]
fn empty_names_are_found() {
    for path in ["crates/a/src/utils.rs", "crates/a/src/common/b.rs", "crates/a/src/helpers/mod.rs"]
    {
        assert_eq!(lines(shape::names_say_something, path, "//! X.\n"), [1], "{path}");
    }
    let inline = "//! X.\npub(crate) mod misc {\n}\n";
    assert_eq!(lines(shape::names_say_something, "crates/a/src/b.rs", inline), [2]);
    assert!(
        lines(shape::names_say_something, "crates/a/src/utilisation.rs", "//! X.\n").is_empty()
    );
}

#[test]
fn big_files_are_found() {
    let big = Entry { path: "x.bin".to_owned(), bytes: 1_500_001, text: String::new() };
    assert_eq!(shape::small_files(&Tree { files: vec![big] }).len(), 1);
}

#[test]
fn the_world_is_found_in_pure_crates_only() {
    let rule = purity::pure_crates_stay_pure;
    let planted = [
        "use tokio::sync::Mutex;",
        "let now = std::time::Instant::now();",
        "let now = SystemTime::now();",
        "let text = std::fs::read(path);",
        "use std::{fmt, net};",
        "pub async fn run() {}",
        "std::thread::spawn(work);",
        "let id = Uuid::now_v7();",
    ];
    for line in planted {
        assert_eq!(
            lines(rule, "crates/space/src/a.rs", &format!("//! A.\n{line}\n")),
            [2],
            "{line}"
        );
        assert!(lines(rule, "crates/node/src/a.rs", line).is_empty(), "{line}");
        assert!(
            lines(rule, "crates/space/src/a.rs", &format!("// never: {line}\n")).is_empty(),
            "{line}"
        );
        let test = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
        assert!(lines(rule, "crates/space/src/a.rs", &test).is_empty(), "{line}");
    }
    assert!(
        lines(rule, "crates/space/src/a.rs", "use std::{fmt, io};\nlet network = 1;\n").is_empty()
    );
    assert_eq!(lines(rule, "crates/mpc/Cargo.toml", "[dependencies]\nrand = \"1\"\n"), [1]);
    assert!(lines(rule, "crates/mpc/Cargo.toml", "[dev-dependencies]\nrand = \"1\"\n").is_empty());
}

#[test]
fn serialized_domain_types_are_found() {
    let rule = purity::domain_types_are_not_serialized;
    let text = "//! A.\n#[derive(Debug, Serialize)]\nstruct A;\n";
    assert_eq!(lines(rule, "crates/space/src/lease/mod.rs", text), [2]);
    let folded = "//! A.\n#[derive(\n    Debug,\n    serde::Deserialize,\n)]\nstruct A;\n";
    assert_eq!(lines(rule, "crates/space/src/lease/mod.rs", folded), [4]);
    assert_eq!(lines(rule, "crates/space/src/a.rs", "//! A.\nimpl Serialize for A {}\n"), [2]);
    assert!(lines(rule, "crates/space/src/wire/odrl.rs", text).is_empty());
}

#[test]
fn arrows_up_and_sideways_are_found() {
    let rule = floors::arrows_point_down;
    let depends = |name: &str| format!("[dependencies]\n{name}.workspace = true\n");
    for (folder, on) in [
        ("crypto", "tidm-space"),
        ("space", "tidm-ledger"),
        ("ingest", "tidm-node"),
        ("node", "tidm-sim"),
    ] {
        assert_eq!(
            lines(rule, &format!("crates/{folder}/Cargo.toml"), &depends(on)),
            [1],
            "{folder} on {on}"
        );
    }
    for (folder, on) in [
        ("space", "tidm-crypto"),
        ("sandbox", "tidm-mpc"),
        ("tidm", "tidm-node"),
        ("sim", "tidm-space"),
    ] {
        assert!(
            lines(rule, &format!("crates/{folder}/Cargo.toml"), &depends(on)).is_empty(),
            "{folder} on {on}"
        );
    }
    assert_eq!(lines(rule, "crates/sim/Cargo.toml", &depends("tidm-ingest")), [1]);
    assert_eq!(lines(rule, "crates/attic/Cargo.toml", ""), [1]);
    let unix = "[target.'cfg(unix)'.dependencies]\ntidm-node.workspace = true\n";
    assert_eq!(lines(rule, "crates/space/Cargo.toml", unix), [1]);
    let dev = "[dev-dependencies]\ntidm-ledger.workspace = true\n";
    assert!(lines(rule, "crates/space/Cargo.toml", dev).is_empty());
}

#[test]
fn leftovers_are_found_in_code() {
    let planted = [
        ["todo", "!()"],
        ["// FIX", "ME later"],
        ["// X", "XX"],
        ["// good enough for", " now"],
        ["#[", "ignore]"],
    ]
    .map(|h| h.concat());
    for line in planted {
        assert_eq!(lines(words::no_leftovers, "a.rs", &line), [1], "{line}");
        assert!(lines(words::no_leftovers, "a.md", &line).is_empty(), "{line}");
    }
    assert!(lines(words::no_leftovers, "a.rs", "let waited = wait_for(nowhere);").is_empty());
}

#[test]
fn registry_hosts_are_found_everywhere_but_in_lock_files() {
    let line = ["https://crates", ".io/x"].concat();
    for path in ["README.md", "a.rs", "console/package-lock.json", "deny.toml"] {
        assert_eq!(lines(words::no_registry_hosts, path, &line), [1], "{path}");
    }
    assert!(lines(words::no_registry_hosts, "x/Cargo.lock", &line).is_empty());
}

#[test]
fn dead_links_are_found() {
    let text = "[a](b.md) [c](../deny.toml#x) [d](missing.md)\n[e](https://example.org/x) [f](#here) [g](../../out)\n";
    let files =
        tree(&[("docs/a.md", text), ("docs/b.md", "[up](..) [dir](/docs/)"), ("deny.toml", "")]);
    let found: Vec<String> = links::links_resolve(&files).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().any(|line| line.contains("docs/a.md:1") && line.contains("missing.md")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|line| line.contains("docs/a.md:2") && line.contains("../../out")),
        "{found:?}"
    );
    assert!(lines(links::links_resolve, "a.md", "```\n[x](nowhere)\n```\n").is_empty());
}

#[test]
fn functions_that_are_gone_are_found() {
    let page = "| `fn here` and `fn gone` |\n`fn also_here`\n";
    let code = "    async fn here() {}\npub(crate) fn also_here<T>(it: T) {}\n";
    let files = tree(&[("docs/a.md", page), ("crates/x/src/a.rs", code)]);
    let found: Vec<String> =
        links::functions_exist(&files).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["docs/a.md:1: there is no function `gone`"]);
}
