//! The bytes of a request over gRPC, as the control plane's own decoder reads them.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::envelope::encode;
use kuma_prometheus_sd::mads::polling::FIRST_HOLD;
use kuma_prometheus_sd::mads::session::Request;

use crate::support::wire::{field, text, varint};

fn request() -> Request {
    Request {
        api_version: ApiVersion::V1,
        node_id: "kuma_sd".to_owned(),
        version: String::new(),
        nonce: String::new(),
        rejection: None,
        hold: FIRST_HOLD,
    }
}

/// A serialized `DiscoveryRequest`, field by field.
fn expected(request: &Request, rejection: Option<&[u8]>) -> Vec<u8> {
    let mut node = Vec::new();
    text(1, &request.node_id, &mut node);
    let mut message = Vec::new();
    text(1, &request.version, &mut message);
    field(2, &node, &mut message);
    text(4, request.api_version.type_url(), &mut message);
    text(5, &request.nonce, &mut message);
    if let Some(status) = rejection {
        field(6, status, &mut message);
    }
    message
}

#[test]
fn the_first_request_has_the_node_and_the_type() {
    for api_version in [ApiVersion::V1, ApiVersion::V1alpha1] {
        let request = Request { api_version, ..request() };
        assert_eq!(encode(&request), expected(&request, None));
    }
}

#[test]
fn an_ack_has_the_version_and_the_nonce() {
    let request =
        Request { version: "a version".to_owned(), nonce: "a nonce".to_owned(), ..request() };
    assert_eq!(encode(&request), expected(&request, None));
}

#[test]
fn a_nack_has_the_reason_with_the_code_of_an_invalid_argument() {
    let request = Request {
        version: "a version".to_owned(),
        nonce: "a nonce".to_owned(),
        rejection: Some("a reason".to_owned()),
        ..request()
    };
    let mut status = Vec::new();
    varint(1 << 3, &mut status);
    varint(3, &mut status);
    text(2, "a reason", &mut status);
    assert_eq!(encode(&request), expected(&request, Some(&status)));
}
