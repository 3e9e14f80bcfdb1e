//! What the fuzz targets check: one function per parser of outside bytes, which panics when a promise is broken.
//!
//! Two runners share them. libFuzzer (`targets/NAME.rs`) looks for new inputs; the plain test below replays the seeds
//! in `seeds/NAME/`. To add a target: a function here and in [`TARGETS`], a file in `targets/`, a `[[bin]]` in
//! Cargo.toml, and a few valid inputs as seeds. When dependencies of the product change, `cargo metadata` in this
//! folder brings its lock file up to date. What a run finds becomes a seed in the commit that mends it.

mod space;

/// A target: its name and what it does with one input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub const TARGETS: &[Target] = &[("space_names", space::names)];

/// Runs one input through the target called `name`.
///
/// # Panics
/// When a promise is broken, which is the point, and when there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = found.unwrap_or_else(|| panic!("no target {name}"));
    target(data);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_seeds_of_every_target_still_pass() {
        for (name, run) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
            let seeds: Vec<_> =
                std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(!seeds.is_empty(), "{name} has no seeds in {}", folder.display());
            for seed in seeds {
                run(&std::fs::read(&seed).unwrap());
            }
            run(b"");
        }
    }

    #[test]
    fn every_target_has_its_program() {
        let manifest = include_str!("../Cargo.toml");
        let programs = manifest.lines().filter(|line| line.trim() == "[[bin]]").count();
        assert_eq!(programs, TARGETS.len());
        for (name, _) in TARGETS {
            assert!(
                manifest.contains(&format!("name = \"{name}\"")),
                "{name} has no [[bin]] in Cargo.toml"
            );
        }
    }
}
