//! `X-Forwarded-For` and `Forwarded` headers: what a trusted proxy has added holds behind anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_http::fuzz_forwarded(data));
