//! Assignments in protobuf. `proto/` has the fields, with the source of each.
//!
//! Targets come before the labels that they share, so an assignment is walked twice: first for what it
//! says itself, and then for its targets.

use super::Problem;
use super::target::{ADDRESS_LABEL, SharedV1, TargetV1, Targets};
use crate::mads::labels::{Label, valid_names};
use crate::mads::protobuf::{Field, Fields, WireError, text};
use crate::snapshot::Text;

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::Content(error.to_string())
    }
}

pub(super) fn decode_v1<'a>(
    assignment: &'a [u8],
    targets: &mut Targets<'a, '_>,
) -> Result<(), Problem> {
    let mut shared = SharedV1::default();
    let mut count = 0;
    for field in Fields::of(assignment) {
        match field? {
            Field::Bytes(2, bytes) => shared.mesh = text(bytes)?,
            Field::Bytes(3, bytes) => shared.service = text(bytes)?,
            Field::Bytes(4, _) => count += 1,
            Field::Bytes(5, bytes) => shared.labels.push(label(bytes)?),
            _ => {}
        }
        targets.take_fields(1)?;
    }
    targets.take_targets(count, shared.length(), &shared.labels)?;
    for field in Fields::of(assignment) {
        let Field::Bytes(4, bytes) = field? else {
            continue;
        };
        Targets::check_target(bytes.len())?;
        targets.labels.clear();
        let mut target = TargetV1::default();
        for field in Fields::of(bytes) {
            match field? {
                Field::Bytes(1, bytes) => target.name = text(bytes)?,
                Field::Bytes(2, bytes) => target.scheme = text(bytes)?,
                Field::Bytes(3, bytes) => target.address = text(bytes)?,
                Field::Bytes(4, bytes) => target.metrics_path = text(bytes)?,
                Field::Bytes(5, bytes) => targets.labels.push(label(bytes)?),
                _ => {}
            }
            targets.take_fields(1)?;
        }
        if target.address.is_empty() {
            targets.skip(shared.name(), target.name.to_string())?;
            continue;
        }
        shared.complete(target, &mut targets.labels);
        targets
            .labels
            .append_to(&mut targets.builder, target.address)?;
    }
    Ok(())
}

/// The target's labels win over the assignment's; one of them is the address.
pub(super) fn decode_v1alpha1<'a>(
    assignment: &'a [u8],
    targets: &mut Targets<'a, '_>,
) -> Result<(), Problem> {
    let mut name = Text::EMPTY;
    let mut shared = Vec::new();
    let mut count = 0;
    for field in Fields::of(assignment) {
        match field? {
            Field::Bytes(1, bytes) => name = text(bytes)?,
            Field::Bytes(2, _) => count += 1,
            Field::Bytes(3, bytes) => shared.push(label(bytes)?),
            _ => {}
        }
        targets.take_fields(1)?;
    }
    targets.take_targets(count, name.bytes().len(), &shared)?;
    let mut own = Vec::new();
    for field in Fields::of(assignment) {
        let Field::Bytes(2, bytes) = field? else {
            continue;
        };
        Targets::check_target(bytes.len())?;
        own.clear();
        for field in Fields::of(bytes) {
            if let Field::Bytes(1, bytes) = field? {
                own.push(label(bytes)?);
            }
            targets.take_fields(1)?;
        }
        match address(&own) {
            Some(address) => {
                targets.labels.clear();
                targets.labels.push_map(&shared);
                targets.labels.push_map(&own);
                targets.labels.append_to(&mut targets.builder, address)?;
            }
            None => {
                let instance = instance(&own).or_else(|| instance(&shared));
                targets.skip(name.to_string(), instance.unwrap_or_default())?;
            }
        }
    }
    Ok(())
}

/// A label: an entry of a map on the wire is a message of a key and a value.
fn label(entry: &[u8]) -> Result<Label<'_>, WireError> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(entry) {
        match field? {
            Field::Bytes(1, bytes) => name = bytes,
            Field::Bytes(2, bytes) => value = bytes,
            _ => {}
        }
    }
    Label::new(name, text(value)?).map_err(|_| WireError::Utf8)
}

/// The address among a target's own labels.
fn address<'a>(labels: &[Label<'a>]) -> Option<Text<'a>> {
    let named = labels.iter().rfind(|label| label.name == ADDRESS_LABEL);
    let address = match named {
        Some(label) => Some(label.value),
        // A name that becomes this one when it is made valid will do as well.
        None => valid_names(labels).remove("__address__"),
    };
    address.filter(|address| !address.is_empty())
}

fn instance(labels: &[Label<'_>]) -> Option<String> {
    let instance = valid_names(labels).remove("instance")?;
    Some(instance.to_string())
}
