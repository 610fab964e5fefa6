//! What a control plane serves: a list of scrape targets, in the wire's form of either
//! API version, and as the file that must come of it. The file is made here, without the program.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::Resource;
use serde_json::json;

use crate::rng::Rng;

const SERVICES: usize = 3;
const MOST_TARGETS: usize = 6;

/// One data plane; without an address it is left out of the file.
#[derive(Debug, Clone)]
struct DataPlane {
    service: usize,
    name: String,
    address: String,
}

/// A complete list, as one API version of the control plane's state.
#[derive(Debug, Clone)]
pub(crate) struct List {
    data_planes: Vec<DataPlane>,
    /// The bytes of the file that must come of it.
    pub(crate) file: Arc<[u8]>,
}

/// What is wrong with a response, so that all of it must be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    WrongTypeUrl,
    ForeignResource,
    UndecodableResource,
}

impl List {
    pub(crate) fn empty() -> Self {
        Self::of(Vec::new())
    }

    fn of(data_planes: Vec<DataPlane>) -> Self {
        let file = expected_file(&data_planes).into_bytes().into();
        Self { data_planes, file }
    }

    /// The next state of the mesh: something more, something less, or the same as before.
    pub(crate) fn next(&self, rng: &mut Rng) -> Self {
        let mut data_planes = self.data_planes.clone();
        match rng.below(12) {
            0 => data_planes.clear(),
            1 => {}
            2..6 if !data_planes.is_empty() => {
                data_planes.swap_remove(rng.below(data_planes.len()));
            }
            6 if !data_planes.is_empty() => {
                let index = rng.below(data_planes.len());
                data_planes[index].address = address(rng);
            }
            7 if !data_planes.is_empty() && data_planes.len() < MOST_TARGETS => {
                data_planes.push(data_planes[rng.below(data_planes.len())].clone());
            }
            _ if data_planes.len() < MOST_TARGETS => data_planes.push(DataPlane {
                service: rng.below(SERVICES),
                name: name(rng),
                address: address(rng),
            }),
            _ => data_planes.truncate(2),
        }
        Self::of(data_planes)
    }

    /// The resources of a response, in any order.
    pub(crate) fn resources(
        &self,
        api_version: ApiVersion,
        is_json: bool,
        rng: &mut Rng,
    ) -> Vec<Resource> {
        let mut data_planes = self.data_planes.clone();
        rng.shuffle(&mut data_planes);
        data_planes
            .iter()
            .map(|data_plane| match (api_version, is_json) {
                (ApiVersion::V1, false) => data_plane.v1(),
                (ApiVersion::V1, true) => data_plane.json(),
                (ApiVersion::V1alpha1, _) => data_plane.v1alpha1(),
            })
            .collect()
    }
}

/// The file that must come of these: one group a line, by mesh, service, instance, address and then all
/// of the line, as JSON has them; equal ones once.
fn expected_file(data_planes: &[DataPlane]) -> String {
    let with_address = data_planes.iter().filter(|data_plane| !data_plane.address.is_empty());
    let lines: BTreeMap<_, String> = with_address
        .map(|data_plane| {
            let [address, service, name] = [
                &data_plane.address,
                &data_plane.service(),
                &data_plane.name,
            ]
            .map(|text| escaped(text));
            let labels = format!(
                "\"__metrics_path__\":\"/metrics\",\"__scheme__\":\"http\",\"dataplane\":\"{name}\",\
                 \"instance\":\"{name}\",\"job\":\"{service}\",\"mesh\":\"default\",\"service\":\"{service}\""
            );
            let line = format!("{{\"targets\":[\"{address}\"],\"labels\":{{{labels}}}}}");
            ((service, name, address, line.clone()), line)
        })
        .collect();
    let lines: Vec<String> = lines.into_values().collect();
    match lines.is_empty() {
        true => "[]\n".to_owned(),
        false => format!("[\n{}\n]\n", lines.join(",\n")),
    }
}

/// What stands in a JSON string, for text without control characters.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Mostly as a control plane has them; now and then one that JSON has to quote, or that has been there.
fn name(rng: &mut Rng) -> String {
    let number = rng.below(1000);
    match rng.below(10) {
        0 => format!("dp \"{number}\" C:\\ é"),
        1 => "dp".to_owned(),
        _ => format!("dp-{number}"),
    }
}

fn address(rng: &mut Rng) -> String {
    if rng.chance(0.05) {
        return String::new();
    }
    format!("192.168.0.{}:{}", rng.below(250), 5670 + rng.below(3))
}

impl DataPlane {
    fn service(&self) -> String {
        format!("service-{}", self.service)
    }

    fn v1(&self) -> Resource {
        let target = message(&[
            (1, self.name.as_bytes()),
            (2, b"http"),
            (3, self.address.as_bytes()),
            (4, b"/metrics"),
        ]);
        let service = self.service();
        protobuf(ApiVersion::V1, message(&[(2, b"default"), (3, service.as_bytes()), (4, &target)]))
    }

    fn v1alpha1(&self) -> Resource {
        let service = self.service();
        let own = [
            ("__address__", self.address.as_str()),
            ("dataplane", &self.name),
            ("instance", &self.name),
        ];
        let shared = [
            ("mesh", "default"),
            ("service", &service),
            ("job", &service),
            ("__scheme__", "http"),
            ("__metrics_path__", "/metrics"),
        ];
        let name = format!("/meshes/default/dataplanes/{}", self.name);
        let mut assignment = message(&[(1, name.as_bytes()), (2, &labels(1, &own))]);
        assignment.extend(labels(3, &shared));
        protobuf(ApiVersion::V1alpha1, assignment)
    }

    fn json(&self) -> Resource {
        json_resource(&json!({
            "@type": ApiVersion::V1.type_url(),
            "mesh": "default",
            "service": self.service(),
            "targets": [{
                "name": self.name,
                "scheme": "http",
                "address": self.address,
                "metrics_path": "/metrics",
            }],
        }))
    }
}

/// A resource that makes its whole response unacceptable.
pub(crate) fn bad_resource(api_version: ApiVersion, is_json: bool, defect: Defect) -> Resource {
    let is_foreign = defect == Defect::ForeignResource;
    let foreign = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    match (is_json, is_foreign) {
        (true, true) => json_resource(&json!({ "@type": foreign })),
        (true, false) => {
            json_resource(&json!({ "@type": api_version.type_url(), "targets": "none" }))
        }
        (false, true) => Resource::Foreign(foreign.to_owned()),
        (false, false) => Resource::Protobuf(api_version, Bytes::from_static(b"\xff\xff")),
    }
}

fn json_resource(value: &serde_json::Value) -> Resource {
    Resource::Json(value.to_string().into())
}

fn protobuf(api_version: ApiVersion, value: Vec<u8>) -> Resource {
    Resource::Protobuf(api_version, value.into())
}

/// Length-delimited fields, each shorter than 16 KiB.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        bytes.push(number << 3 | 2);
        let low = u8::try_from(value.len() & 0x7f).unwrap();
        let high = u8::try_from(value.len() >> 7).unwrap();
        if high == 0 {
            bytes.push(low);
        } else {
            bytes.extend([low | 0x80, high]);
        }
        bytes.extend_from_slice(value);
    }
    bytes
}

/// A map field: one entry for each label.
fn labels(number: u8, labels: &[(&str, &str)]) -> Vec<u8> {
    labels
        .iter()
        .flat_map(|(name, value)| {
            let entry = message(&[(1, name.as_bytes()), (2, value.as_bytes())]);
            message(&[(number, &entry)])
        })
        .collect()
}
