//! One target group: a line of the file, and where in it stands what groups are sorted by.

use std::cmp::Ordering;
use std::ops::Range;

use super::Text;
use crate::common::bytes::{are_equal, compare};

const GROUP_START: &[u8] = b"{\"targets\":[\"";
const ADDRESS_END: &[u8] = b"\"],\"labels\":{";
const GROUP_END: &[u8] = b"}}";

/// The labels that groups are sorted by, before their addresses, under the names that they may have.
const KEY_LABELS: [&[&str]; 3] =
    [&["mesh", "__meta_kuma_mesh"], &["service", "__meta_kuma_service"], &["instance"]];

/// The place of the label `service` among them, and of the address behind them.
const SERVICE: usize = 1;
const ADDRESS: usize = KEY_LABELS.len();

/// The names of a group's labels, as all groups with these names have them in their lines.
pub struct LabelNames {
    /// Each name with what stands around it, one behind the other.
    text: Vec<u8>,
    names: Vec<LabelName>,
}

struct LabelName {
    /// Where it ends in the text.
    end: usize,
    /// Where its value stands among what groups are sorted by.
    key: Option<usize>,
}

impl LabelNames {
    /// Takes names that are valid and sorted, each once.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut text = Vec::new();
        let names = names.map(|name| {
            text.extend([b"\"", name.as_bytes(), b"\":\""].concat());
            LabelName {
                end: text.len(),
                key: KEY_LABELS.iter().position(|labels| labels.contains(&name)),
            }
        });
        let names = names.collect();
        Self { text, names }
    }
}

/// A line among the bytes that it was appended to. A list has less than 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    start: u32,
    length: u32,
    /// What groups are sorted by, but for the rest of the line: mesh, service, instance and address.
    key: [Span; KEY_LABELS.len() + 1],
}

/// A part of a line, from the line's start.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    offset: u32,
    length: u32,
}

impl Group {
    /// Appends the line of a group. A label with an empty value means the same to Prometheus as none, so it
    /// is left out.
    pub(super) fn append<'a>(
        lines: &mut Vec<u8>,
        address: Text<'_>,
        names: &LabelNames,
        values: impl Iterator<Item = Text<'a>>,
    ) -> Self {
        let start = lines.len();
        let mut key = [Span::default(); KEY_LABELS.len() + 1];
        let span = |from: usize, to: usize| Span {
            offset: to_u32(from - start),
            length: to_u32(to - from),
        };
        lines.extend_from_slice(GROUP_START);
        let from = lines.len();
        address.append_to(lines);
        key[ADDRESS] = span(from, lines.len());
        lines.extend_from_slice(ADDRESS_END);
        let mut name_start = 0;
        for (name, value) in names.names.iter().zip(values) {
            let text = &names.text[name_start..name.end];
            name_start = name.end;
            if value.is_empty() {
                continue;
            }
            lines.extend_from_slice(text);
            let from = lines.len();
            value.append_to(lines);
            if let Some(part) = name.key {
                key[part] = span(from, lines.len());
            }
            lines.extend_from_slice(b"\",");
        }
        if lines.ends_with(b",") {
            lines.pop();
        }
        lines.extend_from_slice(GROUP_END);
        Self { start: to_u32(start), length: to_u32(lines.len() - start), key }
    }

    /// The same line among other bytes, where what stood at `from` stands at `to`.
    pub(super) fn moved(&self, from: usize, to: usize) -> Self {
        let start = to_u32(self.start as usize - from + to);
        Self { start, ..*self }
    }

    /// Where the line stands.
    pub(super) fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }

    /// The line.
    pub(super) fn line<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.range()]
    }

    /// The value of the label `service`, as it stands in the line.
    pub(super) fn service<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.key[SERVICE].of(self.line(bytes))
    }

    /// The values of the labels `mesh` and `service`, as they stand in the line.
    pub(super) fn mesh_and_service<'a>(&self, bytes: &'a [u8]) -> [&'a [u8]; 2] {
        let line = self.line(bytes);
        let [mesh, service, ..] = self.key;
        [mesh, service].map(|part| part.of(line))
    }

    /// Appends the group's key as bytes that are sorted as keys are: no part of one has a control
    /// character.
    pub(super) fn append_key(&self, bytes: &[u8], to: &mut Vec<u8>) {
        let line = self.line(bytes);
        for part in self.key {
            to.extend_from_slice(part.of(line));
            to.push(0);
        }
    }

    /// How it is sorted against another group.
    pub(super) fn compare(&self, bytes: &[u8], other: &Self, other_bytes: &[u8]) -> Ordering {
        self.compare_keys(bytes, other, other_bytes)
            .then_with(|| compare(self.line(bytes), other.line(other_bytes)))
    }

    /// How it is sorted against another group, but for what only the rest of the lines can tell.
    pub(super) fn compare_keys(&self, bytes: &[u8], other: &Self, other_bytes: &[u8]) -> Ordering {
        let (line, other_line) = (self.line(bytes), other.line(other_bytes));
        let parts = self.key.iter().zip(other.key);
        let mut parts = parts.map(|(part, other)| (part.of(line), other.of(other_line)));
        match parts.find(|(part, other)| !are_equal(part, other)) {
            Some((part, other)) => compare(part, other),
            None => Ordering::Equal,
        }
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
