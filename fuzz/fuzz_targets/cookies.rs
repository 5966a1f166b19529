//! `Cookie` headers: what comes out is never longer than what went in.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_wire::cookie::fuzz(data));
