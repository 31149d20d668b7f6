#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| opsctl::fuzzing::answers::json(input));
