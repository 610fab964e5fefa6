//! Assignments in protobuf. `proto/` has the fields, with the source of each.
//!
//! Targets come before the labels that they share, so an assignment is walked twice: first for what it
//! says itself, and then for its targets.

use std::str::Utf8Error;

use super::Problem;
use super::target::{SharedV1, TargetV1, Targets};
use crate::mads::labels::Label;
use crate::mads::protobuf::{Field, Fields, WireError, fields_1_and_2, text};
use crate::snapshot::Text;

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::Undecodable(error.to_string())
    }
}

impl From<Utf8Error> for Problem {
    fn from(_: Utf8Error) -> Self {
        WireError::Utf8.into()
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
        let mut fields = 0;
        for field in Fields::of(bytes) {
            match field? {
                Field::Bytes(1, bytes) => target.name = text(bytes)?,
                Field::Bytes(2, bytes) => target.scheme = text(bytes)?,
                Field::Bytes(3, bytes) => target.address = text(bytes)?,
                Field::Bytes(4, bytes) => target.metrics_path = text(bytes)?,
                Field::Bytes(5, bytes) => targets.labels.push(label(bytes)?),
                _ => {}
            }
            fields += 1;
        }
        targets.take_fields(fields)?;
        shared.complete(target, &mut targets.labels);
        let order = targets.orders.of(&targets.labels)?;
        if target.address.is_empty() {
            targets.skip(shared.name(), target.name.to_string())?;
            continue;
        }
        order.append(&targets.labels, &mut targets.builder, target.address)?;
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
    for field in Fields::of(assignment) {
        let Field::Bytes(2, bytes) = field? else {
            continue;
        };
        Targets::check_target(bytes.len())?;
        targets.labels.clear();
        targets.labels.push_map(&shared);
        targets.labels.push_map(&[]);
        let mut fields = 0;
        for field in Fields::of(bytes) {
            if let Field::Bytes(1, bytes) = field? {
                targets.labels.push(label(bytes)?);
            }
            fields += 1;
        }
        targets.take_fields(fields)?;
        let order = targets.orders.of(&targets.labels)?;
        match order.address(&targets.labels) {
            Some(address) => order.append(&targets.labels, &mut targets.builder, address)?,
            None => {
                let instance = order.instance(&targets.labels);
                targets.skip(name.to_string(), instance.to_string())?;
            }
        }
    }
    Ok(())
}

/// A label: an entry of a map on the wire is a message of a key and a value.
#[inline(always)]
fn label(entry: &[u8]) -> Result<Label<'_>, WireError> {
    let (name, value) = match short_key_and_value(entry) {
        Some(both) => both,
        None => fields_1_and_2(entry)?,
    };
    let value = text(value)?;
    Ok(Label { name, value })
}

/// Key and value where the entry is as nearly all are: a short key, then a short value, and no more.
fn short_key_and_value(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, length @ ..0x80, rest @ ..] = entry else {
        return None;
    };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let [0x12, length @ ..0x80, value @ ..] = rest else {
        return None;
    };
    (value.len() == usize::from(*length)).then_some((key, value))
}
