//! Connections of `rpc.listen`: any bytes end, and get an answer or lose the connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_rpc::fuzz(data));
