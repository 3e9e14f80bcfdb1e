//! The floors of the house: a crate may depend on lower floors only.

use super::Violation;
use super::files::{Entry, Tree};

/// Folder under `crates/` and floor. A new crate gets its line here together with its paragraph in
/// `docs/ARCHITECTURE.md`.
const FLOORS: &[(&str, u8)] = &[
    ("crypto", 1),
    ("jail", 1),
    ("space", 2),
    ("attest", 2),
    ("mpc", 2),
    ("mark", 2),
    ("noise", 2),
    ("ledger", 2),
    ("sandbox", 3),
    ("learn", 3),
    ("compute", 3),
    ("ingest", 3),
    ("node", 4),
    ("tidm", 5),
];
/// The simulator stands beside the house: it builds on the pure floors and nothing builds on it.
const SIMULATOR: &str = "sim";
const SIMULATOR_FLOOR: u8 = 3;
/// Programs outside the house; nothing in it may use them.
const OUTSIDE: &[&str] = &["xtask", "tidm-bench", "tidm-sim"];

pub(super) fn arrows_point_down(tree: &Tree) -> Vec<Violation> {
    let manifests = tree.files.iter().filter_map(|file| {
        let folder = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        (!folder.contains('/')).then_some((folder, file))
    });
    manifests.flat_map(|(folder, file)| arrows(folder, file)).collect()
}

fn arrows(folder: &str, file: &Entry) -> Vec<Violation> {
    let floor = if folder == SIMULATOR { Some(SIMULATOR_FLOOR) } else { floor_of(folder) };
    let Some(floor) = floor else {
        return vec![Violation::new(
            &file.path,
            1,
            "this crate has no floor yet: add it to the list in tidy/floors.rs",
        )];
    };
    let Ok(manifest) = file.text.parse::<toml::Table>() else {
        return vec![Violation::new(&file.path, 1, "is no valid TOML")];
    };
    let wrong = dependencies(&manifest).into_iter().filter_map(|name| {
        if OUTSIDE.contains(&name.as_str()) {
            return Some(format!("{name} stands outside the house: nothing depends on it"));
        }
        let below = floor_of(name.strip_prefix("tidm-").unwrap_or(&name))?;
        (below >= floor).then(|| format!("{name} (floor {below}) is not below floor {floor}"))
    });
    wrong.map(|why| Violation::new(&file.path, 1, why)).collect()
}

fn floor_of(folder: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == folder).map(|(_, floor)| *floor)
}

/// Names of what the crate is built with, also per target. Tests may use what they like.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets =
        targets.into_iter().flat_map(|table| table.values().filter_map(toml::Value::as_table));
    let places: Vec<&toml::Table> = std::iter::once(manifest).chain(targets).collect();
    let found = places
        .iter()
        .flat_map(|place| tables.iter().filter_map(|name| place.get(*name)?.as_table()));
    found.flat_map(|table| table.keys().cloned()).collect()
}
