//! What a session rejects, and in which words. What the first request, an ACK and a NACK say, and to
//! what a version belongs, is in `properties::session`, for any sequence of streams and responses.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::session::{Rejection, Response, Session};

fn session() -> Session {
    Session::new("prometheus-1".to_owned(), LabelStyle::Original)
}

fn response(type_url: &str) -> Response {
    Response {
        version: "a".to_owned(),
        nonce: "1".to_owned(),
        type_url: type_url.to_owned(),
        resources: Vec::new(),
    }
}

#[test]
fn a_response_of_another_type_is_rejected_even_where_it_is_empty() {
    for type_url in ["", "type.googleapis.com/envoy.api.v2.Cluster"] {
        let mut session = session();
        let rejected = session.receive(ApiVersion::V1, response(type_url)).unwrap_err();
        let expected = Rejection::UnexpectedType { type_url: type_url.to_owned() };
        assert_eq!(rejected.reason, expected);
        let text = format!("the response has the unexpected type {type_url:?}");
        assert_eq!(rejected.nack.rejection, Some(text));
        assert_eq!(rejected.nack.nonce, "1");
        assert_eq!(session.first_request(ApiVersion::V1).version, "");
    }
}

#[test]
fn a_reason_is_cut_to_4096_bytes_between_characters() {
    // The reason's own words are ASCII, so one of these puts a character across the limit.
    for padding in ["", "x", "xx", "xxx"] {
        let response = response(&format!("{padding}{}", "🦀".repeat(2000)));
        let rejected = session().receive(ApiVersion::V1, response).unwrap_err();
        let text = rejected.nack.rejection.unwrap();
        assert!((4093..=4096).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with('🦀'));
    }
}
