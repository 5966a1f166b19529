//! Feeds arbitrary bytes to the config loader.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_config::fuzz(data));
