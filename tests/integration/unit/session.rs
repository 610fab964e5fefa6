//! The session's rules one by one: what the first request, an ACK and a NACK say, and to what a
//! version belongs.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::Resource;
use kuma_prometheus_sd::mads::polling::FIRST_HOLD;
use kuma_prometheus_sd::mads::session::{Rejection, Request, Response, Session};

use crate::support::wire::{V1, V1alpha1, protobuf_resource};

fn session() -> Session {
    Session::new("prometheus-1".to_owned())
}

/// A response that can be accepted, of any API version.
fn good(api_version: ApiVersion, version: &str, nonce: &str) -> Response {
    let resource = match api_version {
        ApiVersion::V1 => V1::default().resource(),
        ApiVersion::V1alpha1 => V1alpha1::default().resource(),
    };
    response(api_version, version, nonce, vec![resource])
}

/// A response with a resource that cannot be decoded.
fn bad(api_version: ApiVersion, version: &str, nonce: &str) -> Response {
    let resource = protobuf_resource(api_version, vec![0xff; 11]);
    response(api_version, version, nonce, vec![resource])
}

fn response(
    api_version: ApiVersion,
    version: &str,
    nonce: &str,
    resources: Vec<Resource>,
) -> Response {
    Response {
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        type_url: api_version.type_url().to_owned(),
        resources,
    }
}

/// A request without a reason to reject anything.
fn request(api_version: ApiVersion, version: &str, nonce: &str) -> Request {
    Request {
        api_version,
        node_id: "prometheus-1".to_owned(),
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        rejection: None,
        hold: FIRST_HOLD,
    }
}

#[test]
fn the_first_request_of_a_process_has_neither_version_nor_nonce() {
    for api_version in [ApiVersion::V1, ApiVersion::V1alpha1] {
        let expected = request(api_version, "", "");
        assert_eq!(session().first_request(api_version), expected);
    }
}

#[test]
fn an_ack_carries_the_version_and_the_nonce_of_the_response_it_accepts() {
    let mut session = session();
    for (version, nonce) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let accepted = session.receive(ApiVersion::V1, good(ApiVersion::V1, version, nonce));
        let expected = request(ApiVersion::V1, version, nonce);
        assert_eq!(accepted.unwrap().ack, expected);
    }
}

#[test]
fn a_nack_carries_the_last_accepted_version_the_rejected_nonce_and_the_reason() {
    let mut session = session();
    for accepted in ["", "a"] {
        if !accepted.is_empty() {
            let response = good(ApiVersion::V1, accepted, "1");
            session.receive(ApiVersion::V1, response).unwrap();
        }
        let rejected = session.receive(ApiVersion::V1, bad(ApiVersion::V1, "b", "2"));
        let rejected = rejected.unwrap_err();
        let reason = rejected.reason.to_string();
        assert!(
            reason.starts_with("resource 0 cannot be decoded: "),
            "{reason}"
        );
        let expected = Request {
            rejection: Some(reason),
            ..request(ApiVersion::V1, accepted, "2")
        };
        assert_eq!(rejected.nack, expected);
    }
}

#[test]
fn after_a_nack_the_same_version_can_be_accepted() {
    let mut session = session();
    session
        .receive(ApiVersion::V1, bad(ApiVersion::V1, "a", "1"))
        .unwrap_err();
    let accepted = session.receive(ApiVersion::V1, good(ApiVersion::V1, "a", "2"));
    assert_eq!(accepted.unwrap().ack, request(ApiVersion::V1, "a", "2"));
}

#[test]
fn a_new_stream_resumes_with_the_last_accepted_version_and_no_nonce() {
    let mut session = session();
    session
        .receive(ApiVersion::V1, good(ApiVersion::V1, "a", "1"))
        .unwrap();
    session
        .receive(ApiVersion::V1, bad(ApiVersion::V1, "b", "2"))
        .unwrap_err();
    let expected = request(ApiVersion::V1, "a", "");
    assert_eq!(session.first_request(ApiVersion::V1), expected);
}

#[test]
fn a_version_belongs_to_the_generation_it_was_sent_for() {
    let mut session = session();
    session
        .receive(ApiVersion::V1, good(ApiVersion::V1, "a", "1"))
        .unwrap();
    let expected = request(ApiVersion::V1alpha1, "", "");
    assert_eq!(session.first_request(ApiVersion::V1alpha1), expected);

    let rejected = session.receive(ApiVersion::V1alpha1, bad(ApiVersion::V1alpha1, "b", "2"));
    assert_eq!(rejected.unwrap_err().nack.version, "");
    assert_eq!(session.first_request(ApiVersion::V1).version, "a");
}

#[test]
fn a_version_is_dropped_when_another_generation_is_accepted() {
    let mut session = session();
    session
        .receive(ApiVersion::V1, good(ApiVersion::V1, "a", "1"))
        .unwrap();
    let response = good(ApiVersion::V1alpha1, "b", "2");
    session.receive(ApiVersion::V1alpha1, response).unwrap();
    assert_eq!(session.first_request(ApiVersion::V1alpha1).version, "b");
    assert_eq!(session.first_request(ApiVersion::V1).version, "");
}

#[test]
fn a_response_of_another_type_is_rejected_even_where_it_is_empty() {
    for type_url in ["", "type.googleapis.com/envoy.api.v2.Cluster"] {
        let mut session = session();
        let mut response = response(ApiVersion::V1, "a", "1", Vec::new());
        type_url.clone_into(&mut response.type_url);
        let rejected = session.receive(ApiVersion::V1, response).unwrap_err();
        let expected = Rejection::UnexpectedType {
            type_url: type_url.to_owned(),
        };
        assert_eq!(rejected.reason, expected);
        let text = format!("the response has the unexpected type {type_url:?}");
        assert_eq!(rejected.nack.rejection, Some(text));
        assert_eq!(rejected.nack.nonce, "1");
        assert_eq!(session.first_request(ApiVersion::V1).version, "");
    }
}

#[test]
fn one_bad_resource_among_good_ones_rejects_the_whole_response() {
    let mut resources = vec![V1::default().resource(); 3];
    resources.insert(2, protobuf_resource(ApiVersion::V1, vec![0xff; 11]));
    let response = response(ApiVersion::V1, "a", "1", resources);
    let rejected = session().receive(ApiVersion::V1, response).unwrap_err();
    let text = rejected.nack.rejection.unwrap();
    assert!(text.starts_with("resource 2 cannot be decoded: "), "{text}");
}

#[test]
fn an_empty_response_is_accepted() {
    let empty = response(ApiVersion::V1, "a", "1", Vec::new());
    let accepted = session().receive(ApiVersion::V1, empty).unwrap();
    assert_eq!(accepted.assignments.targets, []);
    assert_eq!(accepted.ack, request(ApiVersion::V1, "a", "1"));
}

#[test]
fn a_reason_is_cut_to_4096_bytes_between_characters() {
    // The reason's own words are ASCII, so one of these puts a character across the limit.
    for padding in ["", "x", "xx", "xxx"] {
        let mut response = response(ApiVersion::V1, "a", "1", Vec::new());
        response.type_url = format!("{padding}{}", "🦀".repeat(2000));
        let rejected = session().receive(ApiVersion::V1, response).unwrap_err();
        let text = rejected.nack.rejection.unwrap();
        assert!((4093..=4096).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with('🦀'));
    }
}
