//! Forms as trees of JSON, for command workers: what comes out is JSON, or nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_http::fuzz_form(data));
