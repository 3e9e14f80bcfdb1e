//! The program that searches: libFuzzer around the target that `TIDM_FUZZ_TARGET` names.
//!
//! One program for all targets, since each would link the query engine anew. Never built without the feature `libfuzzer`.
#![no_main]

use std::sync::LazyLock;

/// The target's name, which is also that of its folder of seeds.
static TARGET: LazyLock<String> = LazyLock::new(|| {
    std::env::var("TIDM_FUZZ_TARGET").expect("TIDM_FUZZ_TARGET names one of tidm_fuzz::TARGETS")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidm_fuzz::run(&TARGET, data));
