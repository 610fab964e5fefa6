//! How much one response may become in memory and in the file, so that a small message cannot take all
//! of a machine's memory.
//!
//! Pure. The labels of an assignment are copied into each of its targets, and a part of a message that
//! takes two bytes on the wire takes some hundred in memory: what counts is what comes of a message, not
//! its length. 500,000 targets of normal size fit.

use std::fmt;

use protobuf::rt::skip_field_for_tag;
use protobuf::{CodedInputStream, Result as ProtobufResult};

/// What the targets of a response may take, in bytes of the file and of what is copied for them.
const LIST_LIMIT: usize = 512 << 20;

/// The parts of a response that take memory of their own while it is decoded.
const FIELD_LIMIT: usize = 24_000_000;

/// A target takes the memory of so many labels, however little it says.
const FIELDS_OF_A_TARGET: usize = 12;

/// In JSON an object may be a target, a resource or just labels.
const FIELDS_OF_AN_OBJECT: usize = 6;

/// What a target counts for at least.
const LEAST_TARGET: usize = 400;

/// Which bound a response exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// The list that it would become.
    List,
    /// Its parts.
    Fields,
}

impl fmt::Display for OverLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => write!(
                formatter,
                "the list would take more than {} MiB",
                LIST_LIMIT >> 20
            ),
            Self::Fields => write!(formatter, "there are more than {FIELD_LIMIT} fields"),
        }
    }
}

/// What is left for the rest of a response.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) fields: usize,
    pub(crate) bytes: usize,
}

impl Budget {
    /// All of it is left.
    pub(crate) fn new() -> Self {
        Self {
            fields: FIELD_LIMIT,
            bytes: LIST_LIMIT,
        }
    }

    /// Counts the parts of a serialized assignment before it is decoded; `targets` is the number of
    /// the field that holds these. What comes after a defect is not counted: nobody decodes it.
    pub(crate) fn take_protobuf(
        &mut self,
        assignment: &[u8],
        targets: u32,
    ) -> Result<(), OverLimit> {
        let mut fields = 0;
        // The decoder tells of a defect, with more words.
        let _ = count_fields(assignment, targets, &mut fields);
        self.take_fields(fields)
    }

    /// The same for an assignment in JSON. A label has four quotation marks.
    pub(crate) fn take_json(&mut self, assignment: &str) -> Result<(), OverLimit> {
        let count = |what| assignment.bytes().filter(|byte| *byte == what).count();
        self.take_fields(count(b'"') / 4 + count(b'{') * FIELDS_OF_AN_OBJECT)
    }

    /// Counts a target that takes so many bytes.
    pub(crate) fn take_target(&mut self, bytes: usize) -> Result<(), OverLimit> {
        let left = self.bytes.checked_sub(bytes.max(LEAST_TARGET));
        self.bytes = left.ok_or(OverLimit::List)?;
        Ok(())
    }

    fn take_fields(&mut self, fields: usize) -> Result<(), OverLimit> {
        let left = self.fields.checked_sub(fields);
        self.fields = left.ok_or(OverLimit::Fields)?;
        Ok(())
    }
}

fn count_fields(assignment: &[u8], targets: u32, fields: &mut usize) -> ProtobufResult<()> {
    let mut input = CodedInputStream::from_bytes(assignment);
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        *fields += 1;
        if tag != targets << 3 | 2 {
            skip_field_for_tag(tag, &mut input)?;
            continue;
        }
        *fields += FIELDS_OF_A_TARGET;
        let length = input.read_raw_varint64()?;
        let end_of_assignment = input.push_limit(length)?;
        while let Some(tag) = input.read_raw_tag_or_eof()? {
            *fields += 1;
            skip_field_for_tag(tag, &mut input)?;
        }
        input.pop_limit(end_of_assignment);
    }
    Ok(())
}

/// How many bytes a text takes as a JSON string.
pub(crate) fn json_length(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    bytes.sum::<usize>() + 2
}

#[cfg(test)]
mod tests {
    use super::{Budget, FIELD_LIMIT, LIST_LIMIT, OverLimit, json_length};

    #[test]
    fn a_budget_is_spent_and_not_overdrawn() {
        let mut budget = Budget::new();
        assert_eq!(budget.take_target(LIST_LIMIT - 500), Ok(()));
        assert_eq!(budget.take_target(501), Err(OverLimit::List));
        assert_eq!(budget.take_target(1), Ok(()));
        assert_eq!(budget.take_target(1), Err(OverLimit::List));
        assert_eq!(budget.take_fields(FIELD_LIMIT), Ok(()));
        assert_eq!(budget.take_json("{}"), Err(OverLimit::Fields));
        // A field of one byte of text, then a target with one field and an empty one.
        let assignment = [
            2 << 3 | 2,
            1,
            b'm',
            4 << 3 | 2,
            2,
            1 << 3 | 2,
            0,
            4 << 3 | 2,
            0,
        ];
        assert_eq!(Budget::new().take_protobuf(&assignment, 4), Ok(()));
        let mut fields = 0;
        super::count_fields(&assignment, 4, &mut fields).unwrap();
        assert_eq!(fields, 1 + 13 + 1 + 13);
    }

    #[test]
    fn the_length_of_a_json_string_is_that_of_what_is_written() {
        let all: String = (0..0x180).filter_map(char::from_u32).collect();
        for text in ["", "plain", "\"\\\u{7f}🦀", &all] {
            let written = serde_json::to_string(text).unwrap();
            assert_eq!(json_length(text), written.len(), "{text:?}");
        }
    }
}
