//! See `tidm_fuzz::TARGETS`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidm_fuzz::run("ingest_sources", data));
