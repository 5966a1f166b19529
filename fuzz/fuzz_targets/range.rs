//! `Range` headers: a range that is served lies inside of the file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_http::fuzz_range(data));
