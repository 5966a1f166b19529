//! Feeds arbitrary bytes to the wire parsers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_wire::fuzz(data));
