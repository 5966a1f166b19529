//! Bodies of native key-value calls: any bytes are read to their end or refused.
#![no_main]

use rr_wire::kv::Reading;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut reading = Reading::new(data);
    while !reading.is_over() && reading.item().is_ok() {}
});
