//! What a monitoring assignment means: decodes the resources of a response, of both MADS
//! generations, from protobuf or JSON, into scrape targets with final labels.
//!
//! Pure. It knows whose labels win and which names Prometheus accepts; it does not know the file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::Object;
use crate::proto::{mads_v1, mads_v1alpha1, parse};

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// The label that names the address to scrape. Prometheus takes it from `targets`, so it never
/// stays among the labels of a group.
const ADDRESS_LABEL: &str = "__address__";

/// A generation of the MADS protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// `kuma.observability.v1`, served by Kuma 1.2 and later.
    V1,
    /// `kuma.observability.v1alpha1`, served by Kuma 0.3 to 1.2.
    V1alpha1,
}

impl Generation {
    /// The type URL of this generation's assignments.
    #[must_use]
    pub fn type_url(self) -> &'static str {
        match self {
            Self::V1 => "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
            Self::V1alpha1 => {
                "type.googleapis.com/kuma.observability.v1alpha1.MonitoringAssignment"
            }
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V1 => "v1",
            Self::V1alpha1 => "v1alpha1",
        })
    }
}

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

/// A scrape target: what one group of the file says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `host:port`, never empty; otherwise as the control plane sent it.
    pub address: String,
    /// Valid label names (Prometheus 2) with non-empty values, without `__address__`.
    pub labels: Labels,
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
        }
    }
}

impl std::error::Error for ResourceError {}

/// Decodes all resources of a response that was asked for in `generation`.
///
/// # Errors
/// The first resource of another type, or that cannot be decoded: a list with a hole in it is
/// worse than an old one, so such a response is of no use as a whole.
pub fn decode(
    generation: Generation,
    resources: &[Resource],
) -> Result<Assignments, ResourceError> {
    let mut assignments = Assignments::default();
    for (index, resource) in resources.iter().enumerate() {
        decode_resource(generation, resource, &mut assignments).map_err(
            |problem| match problem {
                Problem::Type(type_url) => ResourceError::UnexpectedType { index, type_url },
                Problem::Content(reason) => ResourceError::Undecodable { index, reason },
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
}

fn decode_resource(
    generation: Generation,
    resource: &Resource,
    into: &mut Assignments,
) -> Result<(), Problem> {
    match resource {
        Resource::Protobuf { type_url, value } => {
            if type_url != generation.type_url() {
                return Err(Problem::Type(type_url.clone()));
            }
            let undecodable = |error: protobuf::Error| Problem::Content(error.to_string());
            match generation {
                Generation::V1 => parse::<mads_v1::MonitoringAssignment>(value)
                    .map(|assignment| AssignmentV1::from(assignment).collect(into))
                    .map_err(undecodable),
                Generation::V1alpha1 => parse::<mads_v1alpha1::MonitoringAssignment>(value)
                    .map(|assignment| collect_v1alpha1(assignment, into))
                    .map_err(undecodable),
            }
        }
        Resource::Json(json) => {
            let Object(typed): Object<Typed> = serde_json::from_str(json.get())
                .map_err(|error| Problem::Content(error.to_string()))?;
            if typed.type_url != generation.type_url() {
                return Err(Problem::Type(typed.type_url));
            }
            let Object(assignment): Object<AssignmentV1> = serde_json::from_str(json.get())
                .map_err(|error| Problem::Content(error.to_string()))?;
            assignment.collect(into);
            Ok(())
        }
    }
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
    fn collect(self, into: &mut Assignments) {
        let shared = valid_names(self.labels);
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
    }
}

/// The target's labels win over the assignment's; one of them is the address.
fn collect_v1alpha1(assignment: mads_v1alpha1::MonitoringAssignment, into: &mut Assignments) {
    let shared = valid_names(assignment.labels.into_iter().collect());
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

/// Makes the label names of one map valid in Prometheus 2, where a single invalid name makes
/// Prometheus refuse the whole file.
///
/// Where two names meet, the one that was valid as it came wins, then the first in byte order.
fn valid_names(labels: Labels) -> Labels {
    let mut made_valid = Vec::new();
    let mut valid = Labels::new();
    for (name, value) in labels {
        match valid_name(&name) {
            Cow::Borrowed("") => {}
            Cow::Borrowed(_) => {
                valid.insert(name, value);
            }
            Cow::Owned(new_name) => made_valid.push((new_name, value)),
        }
    }
    for (name, value) in made_valid {
        valid.entry(name).or_insert(value);
    }
    valid
}

/// `name` where it matches `[a-zA-Z_][a-zA-Z0-9_]*` or is empty, else a name that does.
fn valid_name(name: &str) -> Cow<'_, str> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    if !starts_with_digit && name.chars().all(is_allowed) {
        return Cow::Borrowed(name);
    }
    let prefix = if starts_with_digit { "_" } else { "" };
    let replaced = name.chars().map(|character| {
        if is_allowed(character) {
            character
        } else {
            '_'
        }
    });
    Cow::Owned(prefix.chars().chain(replaced).collect())
}
