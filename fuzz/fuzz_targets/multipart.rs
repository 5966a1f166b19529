//! Multipart forms: however a body is cut, it is the same form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_http::fuzz_multipart(data));
