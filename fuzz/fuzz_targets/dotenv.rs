//! Files of variables: whatever is in them is read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rr_cli::fuzz_dotenv(&String::from_utf8_lossy(data)));
