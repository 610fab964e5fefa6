//! The stages between the wire and the file, as the daemon calls them: the only place of the benchmarks
//! that knows their functions.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::{assignment, envelope};
use kuma_prometheus_sd::output::render;
use kuma_prometheus_sd::snapshot::Target;

/// From a serialized response to targets.
///
/// # Panics
/// Where the bytes are no response: that is a fault of the benchmark.
#[must_use]
pub fn decode(message: Vec<u8>) -> Vec<Target> {
    let response = envelope::decode(message).expect("the message is a response");
    targets(&response.resources)
}

/// From a response's resources to targets.
///
/// # Panics
/// Where they are no assignments: that is a fault of the benchmark.
#[must_use]
pub fn targets(resources: &[assignment::Resource]) -> Vec<Target> {
    assignment::decode(ApiVersion::V1, resources)
        .expect("the resources are assignments")
        .targets
}

/// From targets to the file's content.
#[must_use]
pub fn render(targets: &[Target]) -> render::Content {
    render::render(targets)
}

/// What distinguishes one content from another, as it is logged.
#[must_use]
pub fn compare(before: &render::Content, after: &render::Content) -> render::Changes {
    render::changes(before.bytes(), after.bytes())
}
