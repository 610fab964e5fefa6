//! What a session rejects, and in which words. What the first request, an ACK and a NACK say, and to
//! what a version belongs, is in `properties::session`, for any sequence of streams and responses.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::Resource;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::session::{Rejection, Response, Session};

use crate::support::wire::{V1, protobuf_resource};

fn session() -> Session {
    Session::new("prometheus-1".to_owned(), LabelStyle::Original)
}

fn response(resources: Vec<Resource>) -> Response {
    Response {
        version: "a".to_owned(),
        nonce: "1".to_owned(),
        type_url: ApiVersion::V1.type_url().to_owned(),
        resources,
    }
}

#[test]
fn a_response_of_another_type_is_rejected_even_where_it_is_empty() {
    for type_url in ["", "type.googleapis.com/envoy.api.v2.Cluster"] {
        let mut session = session();
        let mut response = response(Vec::new());
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
    let response = response(resources);
    let rejected = session().receive(ApiVersion::V1, response).unwrap_err();
    let text = rejected.nack.rejection.unwrap();
    assert!(text.starts_with("resource 2 cannot be decoded: "), "{text}");
}

#[test]
fn an_empty_response_is_accepted() {
    let empty = response(Vec::new());
    let accepted = session().receive(ApiVersion::V1, empty).unwrap();
    assert_eq!(accepted.assignments.snapshot.groups(), 0);
    assert_eq!((&*accepted.ack.version, &*accepted.ack.nonce), ("a", "1"));
}

#[test]
fn a_reason_is_cut_to_4096_bytes_between_characters() {
    // The reason's own words are ASCII, so one of these puts a character across the limit.
    for padding in ["", "x", "xx", "xxx"] {
        let mut response = response(Vec::new());
        response.type_url = format!("{padding}{}", "🦀".repeat(2000));
        let rejected = session().receive(ApiVersion::V1, response).unwrap_err();
        let text = rejected.nack.rejection.unwrap();
        assert!((4093..=4096).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with('🦀'));
    }
}
