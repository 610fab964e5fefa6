//! Assignments in the form of either wire, by encoders that share no code with the program.

use bytes::Bytes;
use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::Resource;
use serde_json::json;

/// Labels in the order in which they go on the wire.
pub(crate) type Pairs = Vec<(String, String)>;

/// Labels from literals.
pub(crate) fn pairs(labels: &[(&str, &str)]) -> Pairs {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    labels.iter().map(owned).collect()
}

/// A v1 assignment.
#[derive(Debug, Clone, Default)]
pub(crate) struct V1 {
    pub(crate) mesh: String,
    pub(crate) service: String,
    pub(crate) targets: Vec<V1Target>,
    pub(crate) labels: Pairs,
}

/// A target of a v1 assignment.
#[derive(Debug, Clone, Default)]
pub(crate) struct V1Target {
    pub(crate) name: String,
    pub(crate) scheme: String,
    pub(crate) address: String,
    pub(crate) metrics_path: String,
    pub(crate) labels: Pairs,
}

/// A v1alpha1 assignment; each target is its labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct V1alpha1 {
    pub(crate) name: String,
    pub(crate) targets: Vec<Pairs>,
    pub(crate) labels: Pairs,
}

impl V1 {
    /// The serialized message.
    pub(crate) fn protobuf(&self) -> Vec<u8> {
        let mut message = Vec::new();
        text(2, &self.mesh, &mut message);
        text(3, &self.service, &mut message);
        for target in &self.targets {
            let mut inner = Vec::new();
            text(1, &target.name, &mut inner);
            text(2, &target.scheme, &mut inner);
            text(3, &target.address, &mut inner);
            text(4, &target.metrics_path, &mut inner);
            map(5, &target.labels, &mut inner);
            field(4, &inner, &mut message);
        }
        map(5, &self.labels, &mut message);
        message
    }

    /// JSON that says everything, also a name that comes twice.
    pub(crate) fn json_text(&self) -> String {
        let quoted = |text: &String| json!(text).to_string();
        let labels = |labels: &Pairs| {
            let labels = labels.iter();
            let labels = labels.map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
            format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
        };
        let target = |target: &V1Target| {
            format!(
                r#"{{"name":{},"scheme":{},"address":{},"metrics_path":{},"labels":{}}}"#,
                quoted(&target.name),
                quoted(&target.scheme),
                quoted(&target.address),
                quoted(&target.metrics_path),
                labels(&target.labels)
            )
        };
        let targets: Vec<_> = self.targets.iter().map(target).collect();
        format!(
            r#"{{"@type":"{}","mesh":{},"service":{},"targets":[{}],"labels":{}}}"#,
            ApiVersion::V1.type_url(),
            quoted(&self.mesh),
            quoted(&self.service),
            targets.join(","),
            labels(&self.labels)
        )
    }

    /// A resource of a gRPC response.
    pub(crate) fn resource(&self) -> Resource {
        protobuf_resource(ApiVersion::V1, self.protobuf())
    }

    /// A resource of an HTTP answer.
    pub(crate) fn json_resource(&self) -> Resource {
        json_resource(&self.json_text())
    }
}

impl V1alpha1 {
    /// The serialized message.
    pub(crate) fn protobuf(&self) -> Vec<u8> {
        let mut message = Vec::new();
        text(1, &self.name, &mut message);
        for target in &self.targets {
            let mut inner = Vec::new();
            map(1, target, &mut inner);
            field(2, &inner, &mut message);
        }
        map(3, &self.labels, &mut message);
        message
    }

    /// A resource of a gRPC response.
    pub(crate) fn resource(&self) -> Resource {
        protobuf_resource(ApiVersion::V1alpha1, self.protobuf())
    }
}

/// A resource of the type that is asked for in `api_version`.
pub(crate) fn protobuf_resource(api_version: ApiVersion, value: Vec<u8>) -> Resource {
    Resource::Protobuf(api_version, Bytes::from(value))
}

/// A resource from valid JSON.
pub(crate) fn json_resource(text: &str) -> Resource {
    Resource::Json(Bytes::from(text.to_owned()))
}

/// A serialized `DiscoveryResponse`.
pub(crate) fn discovery_response(
    version: &str,
    nonce: &str,
    api_version: ApiVersion,
    resources: &[Vec<u8>],
) -> Vec<u8> {
    let mut message = Vec::new();
    text(1, version, &mut message);
    for resource in resources {
        let mut any = Vec::new();
        text(1, api_version.type_url(), &mut any);
        field(2, resource, &mut any);
        field(2, &any, &mut message);
    }
    text(4, api_version.type_url(), &mut message);
    text(5, nonce, &mut message);
    message
}

fn map(number: usize, labels: &Pairs, into: &mut Vec<u8>) {
    for (name, value) in labels {
        let mut entry = Vec::new();
        text(1, name, &mut entry);
        text(2, value, &mut entry);
        field(number, &entry, into);
    }
}

/// A field of text; proto3 leaves out what is empty.
pub(crate) fn text(number: usize, value: &str, into: &mut Vec<u8>) {
    if !value.is_empty() {
        field(number, value.as_bytes(), into);
    }
}

/// A field that has a length.
pub(crate) fn field(number: usize, value: &[u8], into: &mut Vec<u8>) {
    varint(number << 3 | 2, into);
    varint(value.len(), into);
    into.extend_from_slice(value);
}

/// A number, as protobuf writes it.
pub(crate) fn varint(mut value: usize, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    into.push(u8::try_from(value).unwrap());
}
