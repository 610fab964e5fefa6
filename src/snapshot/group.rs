//! One target group: a line of the file, and where in it stands what groups are sorted by.

use std::cmp::Ordering;

use super::Text;
use crate::common::bytes::compare;

const GROUP_START: &[u8] = b"{\"targets\":[\"";
const ADDRESS_END: &[u8] = b"\"],\"labels\":{";
const GROUP_END: &[u8] = b"}}";

/// A line among the bytes that it was appended to. A list has less than 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    start: u32,
    length: u32,
    mesh: Span,
    service: Span,
    instance: Span,
    address: Span,
}

/// A part of a line, from the line's start.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    offset: u32,
    length: u32,
}

impl Group {
    /// Appends the line of a group. Of the labels, sorted by name, the names are valid, and none comes
    /// twice; one with an empty value means the same to Prometheus as none, so it is left out.
    pub(super) fn append<'a>(
        lines: &mut Vec<u8>,
        address: Text<'_>,
        labels: impl Iterator<Item = (&'a [u8], Text<'a>)>,
    ) -> Self {
        let start = lines.len();
        lines.extend_from_slice(GROUP_START);
        let span = |from: usize, to: usize| Span {
            offset: to_u32(from - start),
            length: to_u32(to - from),
        };
        let from = lines.len();
        address.append_escaped(lines);
        let address = span(from, lines.len());
        lines.extend_from_slice(ADDRESS_END);
        let [mut mesh, mut service, mut instance] = [Span::default(); 3];
        for (name, value) in labels {
            if value.is_empty() {
                continue;
            }
            lines.push(b'"');
            lines.extend_from_slice(name);
            lines.extend_from_slice(b"\":\"");
            let from = lines.len();
            value.append_escaped(lines);
            match name {
                b"mesh" => mesh = span(from, lines.len()),
                b"service" => service = span(from, lines.len()),
                b"instance" => instance = span(from, lines.len()),
                _ => {}
            }
            lines.extend_from_slice(b"\",");
        }
        if lines.ends_with(b",") {
            lines.pop();
        }
        lines.extend_from_slice(GROUP_END);
        Self {
            start: to_u32(start),
            length: to_u32(lines.len() - start),
            mesh,
            service,
            instance,
            address,
        }
    }

    /// The same line, copied to the end of other bytes.
    pub(super) fn copy(&self, from: &[u8], to: &mut Vec<u8>) -> Self {
        let start = to_u32(to.len());
        to.extend_from_slice(self.line(from));
        Self { start, ..*self }
    }

    /// How many bytes the line takes.
    pub(super) fn length(&self) -> usize {
        self.length as usize
    }

    /// The line.
    pub(super) fn line<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..][..self.length()]
    }

    /// The value of the label `service`, as it stands in the line.
    pub(super) fn service<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.service.of(self.line(bytes))
    }

    /// The values of the labels `mesh` and `service`, as they stand in the line.
    pub(super) fn mesh_and_service<'a>(&self, bytes: &'a [u8]) -> [&'a [u8]; 2] {
        let line = self.line(bytes);
        [self.mesh, self.service].map(|span| span.of(line))
    }

    /// Appends the group's key as bytes that are sorted as keys are: no part of one has a control
    /// character.
    pub(super) fn append_key(&self, bytes: &[u8], to: &mut Vec<u8>) {
        for part in self.key(bytes) {
            to.extend_from_slice(part);
            to.push(0);
        }
    }

    /// What groups are sorted by, but for the rest of the line: mesh, service, instance and address.
    fn key<'a>(&self, bytes: &'a [u8]) -> [&'a [u8]; 4] {
        let line = self.line(bytes);
        [self.mesh, self.service, self.instance, self.address].map(|span| span.of(line))
    }

    /// How it is sorted against another group.
    pub(super) fn compare(&self, bytes: &[u8], other: &Self, other_bytes: &[u8]) -> Ordering {
        let (key, other_key) = (self.key(bytes), other.key(other_bytes));
        let parts = key.iter().zip(other_key);
        parts
            .map(|(part, other)| compare(part, other))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| compare(self.line(bytes), other.line(other_bytes)))
    }
}

impl Span {
    fn of(self, line: &[u8]) -> &[u8] {
        &line[self.offset as usize..][..self.length as usize]
    }
}

fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).expect("a list has less than 4 GiB")
}
