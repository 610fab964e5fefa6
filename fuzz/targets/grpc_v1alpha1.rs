//! Messages of a gRPC stream of v1alpha1.
#![no_main]

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| kuma_prometheus_sd_fuzz::grpc(ApiVersion::V1alpha1, message));
