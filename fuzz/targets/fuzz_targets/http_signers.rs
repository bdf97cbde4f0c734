#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    custody_fuzz::http_signers(bytes);
});
