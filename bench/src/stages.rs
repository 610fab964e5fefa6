//! The stages between the wire and the file, as the daemon calls them: the only place of the benchmarks
//! that knows their functions.

use std::sync::Arc;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::session::Response;
use kuma_prometheus_sd::mads::{assignment, envelope};
use kuma_prometheus_sd::output::changes::{Changes, Difference};
pub use kuma_prometheus_sd::snapshot::Snapshot;

/// What turns one response after the other into lists.
pub struct Decoder(assignment::Decoder);

impl Default for Decoder {
    fn default() -> Self {
        Self(assignment::Decoder::new(LabelStyle::Original))
    }
}

impl Decoder {
    /// From a serialized response to the bytes of the file.
    ///
    /// # Panics
    /// Where the bytes are no response: that is a fault of the benchmark.
    pub fn decode(&mut self, message: Vec<u8>) -> Arc<Snapshot> {
        self.take(envelope::decode(message).expect("the message is a response"))
    }

    /// From a response to the bytes of the file.
    ///
    /// # Panics
    /// Where its resources are no assignments: that is a fault of the benchmark.
    pub fn take(&mut self, response: Response) -> Arc<Snapshot> {
        self.0
            .decode(ApiVersion::V1, response.resources)
            .expect("the resources are assignments")
            .snapshot
    }
}

/// What distinguishes one list from another, as it is logged.
#[must_use]
pub fn compare(before: &Snapshot, after: &Snapshot) -> Changes {
    Difference::between(before, after).count()
}
