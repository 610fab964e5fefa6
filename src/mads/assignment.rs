//! What a monitoring assignment means: decodes the resources of a response, of both MADS
//! API versions, from protobuf or JSON, into scrape targets with final labels.
//!
//! Pure. It knows whose labels win and which names Prometheus accepts; it does not know the file.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::common::json::Object;
use crate::mads::api_version::ApiVersion;
use crate::mads::budget::{Budget, OverLimit, json_length};
use crate::mads::labels::valid_names;
use crate::mads::wire::{mads_v1, mads_v1alpha1, parse};
use crate::snapshot::{Labels, Target};

/// The label that names the address to scrape. Prometheus takes it from `targets`, so it never
/// stays among the labels of a group.
const ADDRESS_LABEL: &str = "__address__";

/// One resource of a response, as it came over the wire.
#[derive(Debug, Clone)]
pub enum Resource {
    /// A `google.protobuf.Any` from a gRPC stream.
    Protobuf {
        /// The type that the control plane says `value` has.
        type_url: String,
        /// The serialized assignment, a slice of the message it came in.
        value: Bytes,
    },
    /// A JSON object with an `@type`, from an HTTP answer.
    Json(Box<RawValue>),
}

/// A target that cannot be scraped because it has no address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkippedTarget {
    /// The assignment it belongs to: `mesh/service` in v1, its own name in v1alpha1.
    pub assignment: String,
    /// The target's name, empty where it has none.
    pub target: String,
}

impl fmt::Display for SkippedTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "target {:?} of assignment {:?}",
            self.target, self.assignment
        )
    }
}

/// All that the resources of one response say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignments {
    /// How many assignments there were.
    pub count: usize,
    /// Their targets, in the order they came.
    pub targets: Vec<Target>,
    /// Their targets without an address.
    pub skipped: Vec<SkippedTarget>,
}

/// Why a resource makes its whole response unacceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceError {
    /// A resource has another type than the one asked for.
    UnexpectedType {
        /// Its place in the response, from 0.
        index: usize,
        /// The type it has.
        type_url: String,
    },
    /// The bytes or the JSON of a resource are not an assignment.
    Undecodable {
        /// Its place in the response, from 0.
        index: usize,
        /// What the decoder says.
        reason: String,
    },
    /// With this resource, the response would become too much.
    OverLimit {
        /// Its place in the response, from 0.
        index: usize,
        /// Which bound is exceeded.
        limit: OverLimit,
    },
}

impl fmt::Display for ResourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedType { index, type_url } => {
                write!(
                    formatter,
                    "resource {index} has the unexpected type {type_url:?}"
                )
            }
            Self::Undecodable { index, reason } => {
                write!(formatter, "resource {index} cannot be decoded: {reason}")
            }
            Self::OverLimit { index, limit } => {
                write!(formatter, "resource {index} is too much: {limit}")
            }
        }
    }
}

impl std::error::Error for ResourceError {}

/// Decodes all resources of a response that was asked for in `API version`.
///
/// # Errors
/// The first resource of another type, or that cannot be decoded, or that is too much: a list with a
/// hole in it is worse than an old one, so such a response is of no use as a whole.
pub fn decode(
    api_version: ApiVersion,
    resources: &[Resource],
) -> Result<Assignments, ResourceError> {
    let mut assignments = Assignments::default();
    let mut budget = Budget::new();
    for (index, resource) in resources.iter().enumerate() {
        decode_resource(api_version, resource, &mut budget, &mut assignments).map_err(
            |problem| match problem {
                Problem::Type(type_url) => ResourceError::UnexpectedType { index, type_url },
                Problem::Content(reason) => ResourceError::Undecodable { index, reason },
                Problem::Size(limit) => ResourceError::OverLimit { index, limit },
            },
        )?;
        assignments.count += 1;
    }
    Ok(assignments)
}

/// What is wrong with one resource.
enum Problem {
    Type(String),
    Content(String),
    Size(OverLimit),
}

impl From<OverLimit> for Problem {
    fn from(limit: OverLimit) -> Self {
        Self::Size(limit)
    }
}

fn decode_resource(
    api_version: ApiVersion,
    resource: &Resource,
    budget: &mut Budget,
    into: &mut Assignments,
) -> Result<(), Problem> {
    match resource {
        Resource::Protobuf { type_url, value } => {
            if type_url != api_version.type_url() {
                return Err(Problem::Type(type_url.clone()));
            }
            budget.take_protobuf(value, api_version.targets_field())?;
            let undecodable = |error: protobuf::Error| Problem::Content(error.to_string());
            match api_version {
                ApiVersion::V1 => {
                    let assignment = parse::<mads_v1::MonitoringAssignment>(value);
                    let assignment = AssignmentV1::from(assignment.map_err(undecodable)?);
                    assignment.collect(budget, into)?;
                }
                ApiVersion::V1alpha1 => {
                    let assignment = parse::<mads_v1alpha1::MonitoringAssignment>(value);
                    collect_v1alpha1(assignment.map_err(undecodable)?, budget, into)?;
                }
            }
        }
        Resource::Json(json) => {
            budget.take_json(json.get())?;
            let Object(typed): Object<Typed> = serde_json::from_str(json.get())
                .map_err(|error| Problem::Content(error.to_string()))?;
            if typed.type_url != api_version.type_url() {
                return Err(Problem::Type(typed.type_url));
            }
            let Object(assignment): Object<AssignmentV1> = serde_json::from_str(json.get())
                .map_err(|error| Problem::Content(error.to_string()))?;
            assignment.collect(budget, into)?;
        }
    }
    Ok(())
}

/// The type of a JSON resource, read first so that a foreign resource is named as such.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "@type", default)]
    type_url: String,
}

/// An assignment of v1: the targets of one service. JSON has the field names of the proto; the
/// camel-case ones are the other spelling that proto3 JSON allows.
#[derive(Deserialize, Default)]
#[serde(default)]
struct AssignmentV1 {
    #[serde(deserialize_with = "null_is_default")]
    mesh: String,
    #[serde(deserialize_with = "null_is_default")]
    service: String,
    #[serde(deserialize_with = "null_is_default")]
    targets: Vec<Object<TargetV1>>,
    #[serde(deserialize_with = "null_is_default")]
    labels: Labels,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TargetV1 {
    #[serde(deserialize_with = "null_is_default")]
    name: String,
    #[serde(deserialize_with = "null_is_default")]
    scheme: String,
    #[serde(deserialize_with = "null_is_default")]
    address: String,
    #[serde(deserialize_with = "null_is_default", alias = "metricsPath")]
    metrics_path: String,
    #[serde(deserialize_with = "null_is_default")]
    labels: Labels,
}

/// proto3 JSON: `null` stands for a field's default value.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<mads_v1::MonitoringAssignment> for AssignmentV1 {
    fn from(assignment: mads_v1::MonitoringAssignment) -> Self {
        let target = |target: mads_v1::monitoring_assignment::Target| {
            Object(TargetV1 {
                name: target.name,
                scheme: target.scheme,
                address: target.address,
                metrics_path: target.metrics_path,
                labels: target.labels.into_iter().collect(),
            })
        };
        Self {
            mesh: assignment.mesh,
            service: assignment.service,
            targets: assignment.targets.into_iter().map(target).collect(),
            labels: assignment.labels.into_iter().collect(),
        }
    }
}

impl AssignmentV1 {
    /// The assignment's labels win over the target's; the fields win over both.
    fn collect(self, budget: &mut Budget, into: &mut Assignments) -> Result<(), OverLimit> {
        let shared = valid_names(self.labels);
        let fields = json_length(&self.mesh) + 2 * json_length(&self.service);
        let sizes = self
            .targets
            .iter()
            .map(|Object(target)| fields + target.size());
        take_targets(budget, &shared, sizes)?;
        for Object(target) in self.targets {
            if target.address.is_empty() {
                into.skipped.push(SkippedTarget {
                    assignment: format!("{}/{}", self.mesh, self.service),
                    target: target.name,
                });
                continue;
            }
            let mut labels = valid_names(target.labels);
            labels.extend(
                shared
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
            labels.extend([
                ("mesh".to_owned(), self.mesh.clone()),
                ("service".to_owned(), self.service.clone()),
                ("job".to_owned(), self.service.clone()),
                ("dataplane".to_owned(), target.name.clone()),
                ("instance".to_owned(), target.name),
                ("__scheme__".to_owned(), target.scheme),
                ("__metrics_path__".to_owned(), target.metrics_path),
            ]);
            into.targets.push(final_target(target.address, labels));
        }
        Ok(())
    }
}

impl TargetV1 {
    /// What it adds to the file. Its name stands there twice.
    fn size(&self) -> usize {
        let fields = [&self.name, &self.scheme, &self.address, &self.metrics_path];
        let fields = fields.map(|field| json_length(field)).iter().sum::<usize>();
        FIXED_SIZE + fields + json_length(&self.name) + size(&self.labels)
    }
}

/// The target's labels win over the assignment's; one of them is the address.
fn collect_v1alpha1(
    assignment: mads_v1alpha1::MonitoringAssignment,
    budget: &mut Budget,
    into: &mut Assignments,
) -> Result<(), OverLimit> {
    let shared = valid_names(assignment.labels.into_iter().collect());
    let name = json_length(&assignment.name);
    let sizes = assignment
        .targets
        .iter()
        .map(|target| name + FIXED_SIZE + size(&target.labels));
    take_targets(budget, &shared, sizes)?;
    for target in assignment.targets {
        let own = valid_names(target.labels.into_iter().collect());
        match own.get(ADDRESS_LABEL) {
            Some(address) if !address.is_empty() => {
                let address = address.clone();
                let mut labels = shared.clone();
                labels.extend(own);
                into.targets.push(final_target(address, labels));
            }
            _ => into.skipped.push(SkippedTarget {
                assignment: assignment.name.clone(),
                target: instance(&own).or(instance(&shared)).unwrap_or_default(),
            }),
        }
    }
    Ok(())
}

/// What every group of the file has, names of fixed labels included, in bytes.
const FIXED_SIZE: usize = 128;

/// What a copy of a label takes in memory beside its text.
const COPY_SIZE: usize = 96;

/// What labels add to a group of the file: two texts, a colon and a comma each.
fn size<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> usize {
    let label = |(name, value): (&String, &String)| json_length(name) + json_length(value) + 2;
    labels.into_iter().map(label).sum()
}

/// Counts the targets of an assignment before the first of them is built: what each has of its own,
/// and the assignment's labels. Those of the first target are no copies, as the assignment's own go.
fn take_targets(
    budget: &mut Budget,
    shared: &Labels,
    own_sizes: impl Iterator<Item = usize>,
) -> Result<(), OverLimit> {
    let shared_size = size(shared);
    for (number, own_size) in own_sizes.enumerate() {
        let copies = if number > 0 { shared.len() } else { 0 };
        budget.take_target(own_size + shared_size + copies * COPY_SIZE)?;
    }
    Ok(())
}

fn instance(labels: &Labels) -> Option<String> {
    labels.get("instance").cloned()
}

/// An empty value means the same to Prometheus as no label.
fn final_target(address: String, mut labels: Labels) -> Target {
    labels.remove(ADDRESS_LABEL);
    labels.retain(|_, value| !value.is_empty());
    Target { address, labels }
}

#[cfg(test)]
mod tests {
    use super::{ApiVersion, Assignments, Resource, decode_resource};
    use crate::mads::budget::Budget;
    use crate::mads::wire::{mads_v1, mads_v1alpha1};
    use protobuf::Message;
    use std::collections::HashMap;

    /// A dataplane with five tags.
    fn tags() -> HashMap<String, String> {
        let tags = ["kuma_io_service", "env", "version", "kuma_io_zone", "team"];
        tags.into_iter()
            .flat_map(|name| {
                let value = "backend-in-production";
                let list = (format!("{name}s"), format!(",{value},"));
                [(name.to_owned(), value.to_owned()), list]
            })
            .collect()
    }

    #[test]
    fn half_a_million_targets_of_normal_size_fit() {
        let v1 = mads_v1::MonitoringAssignment {
            mesh: "default".to_owned(),
            service: "backend_default_svc_8080".to_owned(),
            targets: vec![mads_v1::monitoring_assignment::Target {
                name: "backend-5c89f4d995-85znn.default".to_owned(),
                scheme: "http".to_owned(),
                address: "192.168.100.200:5670".to_owned(),
                metrics_path: "/metrics".to_owned(),
                labels: tags(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let v1alpha1 = mads_v1alpha1::MonitoringAssignment {
            name: "/meshes/default/dataplanes/backend-5c89f4d995-85znn.default".to_owned(),
            targets: vec![mads_v1alpha1::monitoring_assignment::Target {
                labels: tags(),
                ..Default::default()
            }],
            labels: ["__scheme__", "__metrics_path__", "job", "instance"]
                .map(|name| (name.to_owned(), "backend-5c89f4d995-85znn".to_owned()))
                .into(),
            ..Default::default()
        };
        for (api_version, value) in [
            (ApiVersion::V1, v1.write_to_bytes()),
            (ApiVersion::V1alpha1, v1alpha1.write_to_bytes()),
        ] {
            let resource = Resource::Protobuf {
                type_url: api_version.type_url().to_owned(),
                value: value.unwrap().into(),
            };
            let mut budget = Budget::new();
            budget.fields /= 1000;
            budget.bytes /= 1000;
            for _ in 0..500 {
                let mut into = Assignments::default();
                let fits = decode_resource(api_version, &resource, &mut budget, &mut into).is_ok();
                assert!(fits, "{api_version}: {budget:?}");
            }
        }
    }
}
