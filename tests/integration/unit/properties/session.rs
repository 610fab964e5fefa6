//! Any sequence of streams and of good and bad responses, against a model of the rules.

use std::collections::BTreeMap;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::Resource;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::polling::FIRST_HOLD;
use kuma_prometheus_sd::mads::session::{Request, Response, Session};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{api_version, config};
use crate::support::wire::protobuf_resource;

/// What may happen in a session.
#[derive(Debug, Clone)]
enum Step {
    /// A new stream.
    Connect(ApiVersion),
    /// A response, which can be accepted or not.
    Receive { api_version: ApiVersion, version: String, nonce: String, flaw: Option<Flaw> },
}

#[derive(Debug, Clone)]
enum Flaw {
    /// The response has this type.
    Type(String),
    /// One of its resources has this type.
    ResourceType(String),
    /// One of its resources cannot be decoded.
    Undecodable,
}

fn step() -> impl Strategy<Value = Step> {
    let type_url = prop_oneof!["[a-z./]{0,9}", any::<String>(), "\\PC{2000,3000}"];
    let flaw = prop_oneof![
        type_url.clone().prop_map(Flaw::Type),
        type_url.prop_map(Flaw::ResourceType),
        Just(Flaw::Undecodable),
    ];
    let version = prop_oneof!["[a-c]", any::<String>()];
    let receive = (api_version(), version, "[0-9]{1,2}", proptest::option::of(flaw));
    prop_oneof![
        1 => api_version().prop_map(Step::Connect),
        4 => receive.prop_map(|(api_version, version, nonce, flaw)| Step::Receive {
            api_version,
            version,
            nonce,
            flaw,
        }),
    ]
}

/// A response with that flaw.
fn response(api_version: ApiVersion, version: &str, nonce: &str, flaw: Option<Flaw>) -> Response {
    let mut type_url = api_version.type_url().to_owned();
    let mut resources = vec![protobuf_resource(api_version, Vec::new())];
    match flaw {
        None => {}
        Some(Flaw::Type(other)) => type_url = other,
        Some(Flaw::ResourceType(other)) => resources.push(Resource::Foreign(other)),
        Some(Flaw::Undecodable) => resources.push(protobuf_resource(api_version, vec![0xff; 11])),
    }
    Response { version: version.to_owned(), nonce: nonce.to_owned(), type_url, resources }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_session_keeps_to_the_rules_of_ack_and_nack(steps in vec(step(), 0..20)) {
        let mut session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
        let mut accepted: BTreeMap<&'static str, String> = BTreeMap::new();
        let expected = |api_version: ApiVersion, accepted: &BTreeMap<_, String>, nonce: &str| {
            let version = accepted.get(api_version.type_url()).cloned();
            Request {
                api_version,
                node_id: "kuma_sd".to_owned(),
                version: version.unwrap_or_default(),
                nonce: nonce.to_owned(),
                rejection: None,
                hold: FIRST_HOLD,
            }
        };
        for step in steps {
            match step {
                Step::Connect(api_version) => {
                    let request = session.first_request(api_version);
                    prop_assert_eq!(request, expected(api_version, &accepted, ""));
                }
                Step::Receive { api_version, version, nonce, flaw } => {
                    let is_good = flaw.is_none();
                    let response = response(api_version, &version, &nonce, flaw);
                    let request = match session.receive(api_version, response) {
                        Ok(found) => {
                            prop_assert!(is_good);
                            // The version of the other API version is dropped.
                            accepted = BTreeMap::from([(api_version.type_url(), version)]);
                            found.ack
                        }
                        Err(rejected) => {
                            prop_assert!(!is_good);
                            let mut nack = rejected.nack;
                            let reason = nack.rejection.take().unwrap();
                            prop_assert!(!reason.is_empty() && reason.len() <= 4096);
                            prop_assert!(rejected.reason.to_string().starts_with(&reason));
                            nack
                        }
                    };
                    prop_assert_eq!(request, expected(api_version, &accepted, &nonce));
                }
            }
        }
    }
}
