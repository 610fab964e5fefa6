//! The file's bytes: targets as file_sd target groups, one group a line, in an order that does
//! not depend on the order of arrival.
//!
//! Pure. The same list gives the same bytes, so equal content can be recognised and a diff of two
//! files shows what changed.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize;

use crate::common::sanitize::sanitize;
use crate::snapshot::{Labels, Target};

/// The bytes of one complete file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Vec<u8>,
    groups: usize,
}

impl Content {
    /// What stands in the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many target groups there are, one for each target.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }
}

/// Renders the groups sorted by the labels `mesh`, `service` and `instance`, then address, then all
/// labels; equal groups once.
#[must_use]
pub fn render(targets: &[Target]) -> Content {
    // Sorted as targets, not as lines: so there is no second copy of a file that may be large.
    let mut sorted: Vec<(SortKey<'_>, &Labels)> = targets
        .iter()
        .map(|target| (sort_key(target), &target.labels))
        .collect();
    sorted.sort_unstable();
    sorted.dedup();

    let groups = sorted.len();
    if groups == 0 {
        return Content {
            bytes: b"[]\n".to_vec(),
            groups,
        };
    }
    let mut bytes = b"[\n".to_vec();
    for (index, ([.., address], labels)) in sorted.into_iter().enumerate() {
        if index > 0 {
            bytes.extend_from_slice(b",\n");
        }
        append_group(&mut bytes, address, labels);
    }
    bytes.extend_from_slice(b"\n]\n");
    Content { bytes, groups }
}

/// The labels `mesh`, `service` and `instance`, then the address.
type SortKey<'a> = [&'a str; 4];

fn sort_key(target: &Target) -> SortKey<'_> {
    let label = |name| target.labels.get(name).map_or("", String::as_str);
    [
        label("mesh"),
        label("service"),
        label("instance"),
        &target.address,
    ]
}

fn append_group(bytes: &mut Vec<u8>, address: &str, labels: &Labels) {
    bytes.extend_from_slice(GROUP_START);
    append_json_string(bytes, address);
    bytes.extend_from_slice(ADDRESS_END);
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        append_json_string(bytes, name);
        bytes.push(b':');
        append_json_string(bytes, value);
    }
    bytes.extend_from_slice(b"}}");
}

const GROUP_START: &[u8] = b"{\"targets\":[";
const ADDRESS_END: &[u8] = b"],\"labels\":{";

fn append_json_string(bytes: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(bytes, text).expect("a string is JSON, and memory takes every write");
}

/// What distinguishes one file from the one before, counted in target groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Groups whose address is new.
    pub added: usize,
    /// Groups whose address is gone.
    pub removed: usize,
    /// Groups whose address was there already, with other labels.
    pub changed: usize,
}

impl Changes {
    /// Adds what a later file has changed.
    pub fn add(&mut self, later: Self) {
        self.added += later.added;
        self.removed += later.removed;
        self.changed += later.changed;
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} added, {} removed, {} changed",
            self.added, self.removed, self.changed
        )
    }
}

/// Compares two files line by line. `before` may be any bytes at all: a file that somebody edited
/// has groups wherever it has lines of our form.
#[must_use]
pub fn changes(before: &[u8], after: &[u8]) -> Changes {
    let compared = Compared::new(before, after);
    Changes {
        added: compared.added.len(),
        removed: compared.removed.len(),
        changed: compared.changed.len(),
    }
}

/// What `changes` counts, in words: the names of some of the targets, and how many more there are.
#[must_use]
pub fn changed_names(before: &[u8], after: &[u8]) -> String {
    let compared = Compared::new(before, after);
    let kinds = [
        ("added", compared.added),
        ("removed", compared.removed),
        ("changed", compared.changed),
    ];
    let kinds = kinds.into_iter().filter(|(_, lines)| !lines.is_empty());
    let kinds: Vec<String> = kinds
        .map(|(kind, lines)| format!("{kind} {}", names(&lines)))
        .collect();
    kinds.join("; ")
}

/// So many targets of a kind are named.
const NAMED: usize = 20;

fn names(lines: &[&[u8]]) -> String {
    let named: Vec<String> = lines.iter().take(NAMED).map(|line| name(line)).collect();
    match lines.len().checked_sub(NAMED) {
        None | Some(0) => named.join(", "),
        Some(more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// A group as an operator knows it: its instance, where it has one, and its address.
fn name(line: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Group {
        targets: Vec<String>,
        labels: Labels,
    }
    let Ok(Group { targets, labels }) = serde_json::from_slice(line) else {
        return sanitize(&String::from_utf8_lossy(line));
    };
    let address = targets.join(" ");
    match labels.get("instance") {
        Some(instance) => sanitize(&format!("{instance} ({address})")),
        None => sanitize(&address),
    }
}

/// The lines of two files that differ, in the order of the files; a group whose address was there before is the same target.
struct Compared<'a> {
    added: Vec<&'a [u8]>,
    removed: Vec<&'a [u8]>,
    changed: Vec<&'a [u8]>,
}

impl<'a> Compared<'a> {
    fn new(before: &'a [u8], after: &'a [u8]) -> Self {
        let (before, all_before) = groups(before);
        let (after, all_after) = groups(after);
        let gone = || before.iter().filter(|line| !all_after.contains(*line));
        let new = after.iter().filter(|line| !all_before.contains(*line));

        let mut gone_from: HashMap<&[u8], usize> = HashMap::new();
        gone().for_each(|line| *gone_from.entry(address(line)).or_default() += 1);
        let mut take = |line: &&&[u8]| match gone_from.get_mut(address(line)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        let (changed, added): (Vec<&[u8]>, Vec<&[u8]>) = new.partition(|line| take(line));
        let removed = gone().filter(take).copied().collect();
        Self {
            added,
            removed,
            changed,
        }
    }
}

/// The lines of a file that are groups, in their order and as a set.
fn groups(bytes: &[u8]) -> (Vec<&[u8]>, HashSet<&[u8]>) {
    let mut all = HashSet::new();
    let lines = group_lines(bytes).filter(|line| all.insert(*line));
    (lines.collect(), all)
}

fn group_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b",").unwrap_or(line))
        .filter(|line| line.starts_with(GROUP_START))
}

/// The part of a group's line that names its address.
fn address(line: &[u8]) -> &[u8] {
    let end = line
        .windows(ADDRESS_END.len())
        .position(|window| window == ADDRESS_END);
    &line[..end.unwrap_or(line.len())]
}
