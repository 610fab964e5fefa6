//! What distinguishes one file from the one before: how many targets were added, removed and changed,
//! and which.
//!
//! Pure. Files are compared line by line, as each target group has a line of its own.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Deserialize;

use crate::common::hash::{ByHash, hash};
use crate::common::sanitize::sanitize;
use crate::snapshot::{DifferingLines, Snapshot};

const GROUP_START: &[u8] = b"{\"targets\":[";

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

/// The lines of two files that differ, in the order of the files; a group whose address was there
/// before is the same target.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    added: Vec<&'a [u8]>,
    removed: Vec<&'a [u8]>,
    changed: Vec<&'a [u8]>,
}

impl<'a> Difference<'a> {
    /// Compares two lists.
    #[must_use]
    pub fn between(before: &'a Snapshot, after: &'a Snapshot) -> Self {
        let DifferingLines { gone, changed, new } = before.differing_lines(after);
        let mut difference = Self::of(gone, new);
        difference.changed.splice(..0, changed);
        difference
    }

    /// Compares a list with any bytes at all: a file that somebody edited has groups wherever it has
    /// lines of our form.
    #[must_use]
    pub fn from_file(before: &'a [u8], after: &'a Snapshot) -> Self {
        let (before, all_before) = groups(before);
        let (after, all_after) = groups(after.bytes());
        let is_gone = |line: &&[u8]| !all_after.contains(line);
        let is_new = |line: &&[u8]| !all_before.contains(line);
        Self::of(
            before.into_iter().filter(is_gone).collect(),
            after.into_iter().filter(is_new).collect(),
        )
    }

    fn of(gone: Vec<&'a [u8]>, new: Vec<&'a [u8]>) -> Self {
        let address = |line: &[u8]| hash(address(line), 0);
        let mut gone_from = ByHash::<usize>::default();
        gone_from.reserve(gone.len());
        for line in &gone {
            *gone_from.entry(address(line)).or_default() += 1;
        }
        let mut take = |line: &&[u8]| match gone_from.get_mut(&address(line)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        let (changed, added): (Vec<_>, _) = new.into_iter().partition(&mut take);
        let all_are_changed = changed.len() == gone.len();
        let removed = match all_are_changed {
            true => Vec::new(),
            false => gone.into_iter().filter(take).collect(),
        };
        Self { added, removed, changed }
    }

    /// How many there are of each kind.
    #[must_use]
    pub fn count(&self) -> Changes {
        Changes {
            added: self.added.len(),
            removed: self.removed.len(),
            changed: self.changed.len(),
        }
    }

    /// In words: the names of some of the targets, and how many more there are.
    #[must_use]
    pub fn names(&self) -> String {
        let kinds =
            [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)];
        let kinds = kinds.into_iter().filter(|(_, lines)| !lines.is_empty());
        let kinds: Vec<String> =
            kinds.map(|(kind, lines)| format!("{kind} {}", names(lines))).collect();
        kinds.join("; ")
    }
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
        labels: BTreeMap<String, String>,
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

/// The address of a group's line, as it stands there. Where there are several, the first one.
fn address(line: &[u8]) -> &[u8] {
    let text = &line[GROUP_START.len().min(line.len())..];
    let mut is_escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    &text[..end.map_or(text.len(), |end| end + 1)]
}
