//! Assignments in JSON, which only v1 has. Texts without escapes are slices of the answer.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Problem;
use super::target::{SharedV1, TargetV1, Targets};
use crate::common::json::Object;
use crate::mads::api_version::ApiVersion;
use crate::mads::labels::{Label, TargetLabels};
use crate::snapshot::Text;

/// An object may be a target, a resource or just labels.
const FIELDS_OF_AN_OBJECT: usize = 6;

/// An assignment of v1: the targets of one service. JSON has the field names of the proto; the
/// camel-case ones are the other spelling that proto3 JSON allows.
#[derive(Deserialize, Default)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Assignment<'a> {
    #[serde(rename = "@type")]
    type_url: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default")]
    mesh: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default")]
    service: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default")]
    targets: Vec<Object<Target<'a>>>,
    #[serde(deserialize_with = "null_is_default")]
    labels: JsonLabels<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Target<'a> {
    #[serde(deserialize_with = "null_is_default")]
    name: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default")]
    scheme: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default")]
    address: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default", alias = "metricsPath")]
    metrics_path: JsonText<'a>,
    #[serde(deserialize_with = "null_is_default")]
    labels: JsonLabels<'a>,
}

/// The type of a resource that cannot be decoded, so that a foreign one is named as such.
#[derive(Deserialize, Default)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Typed<'a> {
    #[serde(rename = "@type")]
    type_url: JsonText<'a>,
}

/// proto3 JSON: `null` stands for a field's default value.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn decode(
    api_version: ApiVersion,
    resource: &[u8],
    targets: &mut Targets<'_, '_>,
) -> Result<(), Problem> {
    targets.take_fields(fields(resource))?;
    let undecodable = |error: serde_json::Error| Problem::Undecodable(error.to_string());
    let foreign = |type_url: &JsonText<'_>| {
        (type_url.0 != api_version.type_url())
            .then(|| Problem::UnexpectedType(type_url.0.to_string()))
    };
    let assignment =
        serde_json::from_slice(resource).map_err(|error| {
            match serde_json::from_slice::<Object<Typed<'_>>>(resource) {
                Ok(Object(typed)) => foreign(&typed.type_url).unwrap_or_else(|| undecodable(error)),
                Err(error) => undecodable(error),
            }
        })?;
    let Object::<Assignment<'_>>(assignment) = assignment;
    if let Some(problem) = foreign(&assignment.type_url) {
        return Err(problem);
    }
    let shared = SharedV1 {
        mesh: assignment.mesh.text(),
        service: assignment.service.text(),
        labels: assignment.labels.iter().collect(),
    };
    targets.take_targets(assignment.targets.len(), shared.length(), &shared.labels)?;
    let mut labels = TargetLabels::default();
    for Object(target) in &assignment.targets {
        labels.clear();
        target.labels.iter().for_each(|label| labels.push(label));
        let target = TargetV1 {
            name: target.name.text(),
            scheme: target.scheme.text(),
            address: target.address.text(),
            metrics_path: target.metrics_path.text(),
        };
        if target.address.is_empty() {
            targets.skip(shared.name(), target.name.to_string())?;
            continue;
        }
        shared.complete(target, &mut labels);
        let order = targets.orders.of(&labels)?;
        order.append(&labels, &mut targets.builder, target.address)?;
    }
    Ok(())
}

/// Counts the parts of a resource before it is decoded. A label has four quotation marks.
fn fields(resource: &[u8]) -> usize {
    // In parts whose count fits into a byte: so many bytes are compared and added at once.
    let count_in = |part: &[u8], what| part.iter().map(|byte| u8::from(*byte == what)).sum::<u8>();
    let parts = resource.chunks(usize::from(u8::MAX));
    let count = |what| parts.clone().map(|part| usize::from(count_in(part, what))).sum::<usize>();
    count(b'"') / 4 + count(b'{') * FIELDS_OF_AN_OBJECT
}

/// A string, borrowed where it has no escapes.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct JsonText<'a>(#[serde(borrow)] Cow<'a, str>);

impl JsonText<'_> {
    fn text(&self) -> Text<'_> {
        Text::from(&*self.0)
    }
}

/// An object of strings, in the order in which they came.
#[derive(Default)]
struct JsonLabels<'a>(Vec<(JsonText<'a>, JsonText<'a>)>);

impl JsonLabels<'_> {
    fn iter(&self) -> impl Iterator<Item = Label<'_>> {
        self.0.iter().map(|(name, value)| Label::of(&name.0, value.text()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonLabels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = JsonLabels<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<JsonLabels<'de>, M::Error> {
                let mut labels = Vec::new();
                while let Some(label) = map.next_entry()? {
                    labels.push(label);
                }
                Ok(JsonLabels(labels))
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}
