#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    custody_fuzz::bench_runs(bytes);
});
