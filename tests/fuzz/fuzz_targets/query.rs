#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ltm_fuzz::query(data));
