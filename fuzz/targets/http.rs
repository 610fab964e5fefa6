//! Bodies of answers over HTTP.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| kuma_prometheus_sd_fuzz::http(body));
