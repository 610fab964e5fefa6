//! Whatever comes over the network or stands in the file, nothing panics.

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::envelope;
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::mads::session::{Response, Session};
use kuma_prometheus_sd::mads::transport::http;
use kuma_prometheus_sd::output::changes::Difference;
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::meaning::meaning_of_v1;
use super::{api_version, config, v1, v1alpha1};
use crate::support::decoded::{decode, snapshot};
use crate::support::wire::{V1, V1alpha1, discovery_response, protobuf_resource};

/// Bytes as they may come: none of ours, or ours with something broken.
fn broken(good: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let flips = vec((any::<Index>(), any::<u8>()), 1..4);
    let damaged = (good, flips, any::<Index>()).prop_map(|(mut bytes, flips, cut)| {
        for (index, byte) in flips {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if cut.index(3) == 0 {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    });
    prop_oneof![vec(any::<u8>(), 0..64), damaged]
}

fn envelope() -> impl Strategy<Value = Vec<u8>> {
    let v1 = vec(v1(), 0..3).prop_map(|assignments| {
        let messages: Vec<_> = assignments.iter().map(V1::protobuf).collect();
        discovery_response("version", "nonce", ApiVersion::V1, &messages)
    });
    let v1alpha1 = vec(v1alpha1(), 0..3).prop_map(|assignments| {
        let messages: Vec<_> = assignments.iter().map(V1alpha1::protobuf).collect();
        discovery_response("version", "nonce", ApiVersion::V1alpha1, &messages)
    });
    prop_oneof![v1, v1alpha1]
}

/// Any JSON, with fields that mean something here and there.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let name = select(vec![
        "version_info",
        "versionInfo",
        "resources",
        "type_url",
        "@type",
        "mesh",
        "service",
        "targets",
        "labels",
        "address",
        "metrics_path",
        "metricsPath",
        "name",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
        Just(json!(ApiVersion::V1.type_url())),
        v1().prop_map(|assignment| assignment.json()),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let object = hash_map(name.clone(), inner.clone(), 0..4);
        let object = object.prop_map(|map| {
            map.into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        });
        prop_oneof![vec(inner, 0..4).prop_map(serde_json::Value::Array), object]
    })
}

/// Whatever a response is, it is judged without a panic, and gives a valid file or none.
fn judge(response: &Response) -> Result<(), TestCaseError> {
    for api_version in [ApiVersion::V1, ApiVersion::V1alpha1] {
        // It reads the file as Prometheus does.
        let _ = decode(api_version, &response.resources);
        let mut session = Session::new("kuma_sd".to_owned(), LabelStyle::Original);
        let _ = session.receive(api_version, response.clone());
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn no_bytes_from_a_grpc_stream_cause_a_panic(bytes in broken(envelope())) {
        if let Ok(response) = envelope::decode(bytes) {
            judge(&response)?;
        }
    }

    #[test]
    fn no_bytes_in_a_resource_cause_a_panic(
        api_version in api_version(),
        value in broken(prop_oneof![
            v1().prop_map(|assignment| assignment.protobuf()),
            v1alpha1().prop_map(|assignment| assignment.protobuf()),
        ]),
    ) {
        let _ = decode(api_version, &[protobuf_resource(api_version, value)]);
    }

    #[test]
    fn no_json_in_an_http_answer_causes_a_panic(json in any_json()) {
        if let Ok(response) = http::decode(json.to_string().into_bytes()) {
            judge(&response)?;
        }
        let body = json!({"type_url": ApiVersion::V1.type_url(), "resources": [json]});
        judge(&http::decode(body.to_string().into_bytes()).unwrap())?;
    }

    #[test]
    fn no_bytes_in_an_http_answer_cause_a_panic(
        bytes in broken(any_json().prop_map(|json| json.to_string().into_bytes())),
    ) {
        if let Ok(response) = http::decode(bytes) {
            judge(&response)?;
        }
    }

    #[test]
    fn no_foreign_file_causes_a_panic_where_changes_are_counted(
        before in any::<Vec<u8>>(),
        assignments in vec(v1(), 0..2),
    ) {
        let groups: Vec<_> = assignments.iter().flat_map(meaning_of_v1).collect();
        let ours = snapshot(&groups);
        let _ = Difference::from_file(&before, &ours).names();
    }
}

#[test]
fn deeply_nested_json_is_an_error() {
    for text in [
        "[".repeat(1 << 20),
        "{\"resources\":[".repeat(1 << 20),
        "\"a".repeat(9),
    ] {
        assert!(http::decode(text.into_bytes()).is_err());
    }
    let nested = format!("{}{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
    let body = format!(r#"{{"resources":[{nested}]}}"#);
    if let Ok(response) = http::decode(body.into_bytes()) {
        assert!(decode(ApiVersion::V1, &response.resources).is_err());
    }
}
