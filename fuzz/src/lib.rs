//! What the fuzz targets check: functions for every parser of outside bytes, which panic when a promise is broken.
//!
//! Two runners share them. libFuzzer (`main.rs`) looks for new inputs, guided by the branches of our own crates; the plain
//! test below replays the seeds in `seeds/NAME/`. Where a group has more than one parser, the first byte of an input chooses,
//! `a` the first of its list. New parsers go to the end of a list, so that the seeds keep their meaning. To add a group: a
//! function here and in [`TARGETS`], and a few valid inputs as seeds. What a run finds becomes a seed in the commit that mends
//! it.

mod attest;
mod claims;
mod compute;
mod crypto;
mod ledger;
mod messages;
mod mpc;
mod names;
mod policy;
mod records;
mod requests;
mod settings;
mod signaling;
mod statements;
mod tables;
mod tc609;

/// One parser and what must hold of its answer.
type Parser = fn(&[u8]);

/// Hands the input but for its first byte to the parser that this byte names.
fn choose(parsers: &[Parser], data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let which = usize::from(which.wrapping_sub(b'a')) % parsers.len();
    if let Some(parser) = parsers.get(which) {
        parser(rest);
    }
}

/// The readers of some formats, and the query engine, panic on some inputs; the product catches that or runs them in a process
/// of their own. libFuzzer's hook would end the program at the panic already; one that nobody catches still ends it.
fn contained(run: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    run();
    std::panic::set_hook(hook);
}

/// A target: its name and what it does with one input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    ("attest_evidence", attest::evidence),
    ("compute_lists", compute::lists),
    ("compute_messages", compute::messages),
    ("crypto_cbor", crypto::canonical_cbor),
    ("crypto_json", crypto::canonical_json),
    ("crypto_sealed", crypto::sealed),
    ("crypto_tokens", crypto::tokens),
    ("ingest_sources", tables::sources),
    ("ledger_notes", ledger::notes),
    ("ledger_proofs", ledger::proofs),
    ("mpc_peers", mpc::peers),
    ("node_requests", requests::requests),
    ("node_settings", settings::settings),
    ("sandbox_statements", statements::statements),
    ("space_claims", claims::claims),
    ("space_messages", messages::messages),
    ("space_names", names::names),
    ("space_notices", records::notices),
    ("space_policy", policy::policies),
    ("space_records", records::records),
    ("space_signaling", signaling::signaling),
    ("space_tc609", tc609::contracts),
];

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
    fn every_folder_of_seeds_belongs_to_a_target() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
        for entry in std::fs::read_dir(seeds).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(TARGETS.iter().any(|(target, _)| *target == name), "no target {name}");
        }
    }
}
