//! The way from the wire to the file, as the daemon goes it, with the promises that hold for any
//! bytes at all.

#[path = "../../tests/integration/support/prometheus.rs"]
mod prometheus;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::envelope;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::session::{Response, Session};
use kuma_prometheus_sd::mads::transport::http;

/// The longest reason that a NACK may carry, in bytes.
const LONGEST_REASON: usize = 4096;

/// A message of a gRPC stream.
pub fn grpc(api_version: ApiVersion, message: &[u8]) {
    if let Ok(response) = envelope::decode(message.to_vec()) {
        to_file(api_version, response);
    }
}

/// The body of an answer over HTTP.
pub fn http(body: &[u8]) {
    if let Ok(response) = http::decode(body.to_vec()) {
        to_file(ApiVersion::V1, response);
    }
}

/// Either the response is rejected, with a reason that can be sent; or there is a file, one that
/// Prometheus accepts, whatever the order of arrival.
fn to_file(api_version: ApiVersion, response: Response) {
    let (version, nonce) = (response.version.clone(), response.nonce.clone());
    let mut reversed = response.clone();
    reversed.resources.reverse();
    let mut session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
    match session.receive(api_version, response) {
        Ok(accepted) => {
            assert_eq!((accepted.ack.version, accepted.ack.nonce), (version, nonce));
            let snapshot = accepted.assignments.snapshot;
            let groups = prometheus::groups(snapshot.bytes());
            assert_eq!(groups.len(), snapshot.groups());
            // A fresh session, so that everything is decoded once more.
            let mut session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
            let again = session.receive(api_version, reversed.clone()).expect("the same");
            assert_eq!(
                again.assignments.snapshot, snapshot,
                "the order of arrival shows in the file"
            );
            let kept = session.receive(api_version, reversed).expect("the same");
            assert!(kept.assignments.is_unchanged);
        }
        Err(rejected) => {
            assert_eq!((rejected.nack.version, rejected.nack.nonce), (String::new(), nonce));
            let reason = rejected.nack.rejection.expect("a NACK has a reason");
            assert!(!reason.is_empty() && reason.len() <= LONGEST_REASON);
        }
    }
}
