//! Shape of files: short, named after what they hold, each module opening with what it is.

use super::Violation;
use super::files::Tree;

/// A file somebody can hold in their head; above it hides a second module.
const PRODUCTION_LINES: usize = 500;
/// Larger files are data of others, build products or accidents.
const FILE_BYTES: u64 = 1_500_000;
/// Names under which anything fits, so everything ends up there.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager", "managers", "stuff",
    "shared",
];

pub(super) fn short_files(tree: &Tree) -> Vec<Violation> {
    let too_long = tree.rust().filter_map(|file| {
        let lines = file.production().count();
        (lines > PRODUCTION_LINES).then(|| {
            let why = format!("{lines} lines of production code, at most {PRODUCTION_LINES}: split it by what it does");
            Violation::new(&file.path, PRODUCTION_LINES + 1, why)
        })
    });
    too_long.collect()
}

pub(super) fn modules_say_what_they_are(tree: &Tree) -> Vec<Violation> {
    let silent = tree.rust().filter(|file| !file.is_test()).filter(|file| {
        let mut lines = file.text.lines().map(str::trim).filter(|line| !line.is_empty());
        !lines.next().is_some_and(|line| {
            line.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty())
        })
    });
    silent
        .map(|file| Violation::new(&file.path, 1, "begins without `//!`: say what the module is"))
        .collect()
}

pub(super) fn names_say_something(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.rust() {
        for part in file.path.split('/') {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            if EMPTY_NAMES.contains(&name) {
                violations.push(Violation::new(
                    &file.path,
                    1,
                    format!("`{name}` names nothing: say what it holds"),
                ));
            }
        }
        for (number, line) in file.production() {
            let words =
                line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let name =
                words.strip_prefix("mod ").map(|rest| rest.trim_end_matches([';', '{', ' ']));
            if name.is_some_and(|name| EMPTY_NAMES.contains(&name)) {
                violations.push(Violation::new(
                    &file.path,
                    number,
                    "this module's name names nothing",
                ));
            }
        }
    }
    violations
}

pub(super) fn small_files(tree: &Tree) -> Vec<Violation> {
    let big = tree.files.iter().filter(|file| file.bytes > FILE_BYTES);
    let why = |bytes| {
        format!("{bytes} bytes, at most {FILE_BYTES}: fetch it with `cargo xtask data` instead")
    };
    big.map(|file| Violation::new(&file.path, 1, why(file.bytes))).collect()
}
