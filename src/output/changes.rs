//! What distinguishes one file from the one before: how many targets were added, removed and changed,
//! and which.
//!
//! Pure. Files are compared line by line, as each target group has a line of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::Deserialize;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::common::sanitize::sanitize;

const GROUP_START: &[u8] = b"{\"targets\":[";
const ADDRESS_END: &[u8] = b"],\"labels\":{";

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

/// The lines of two files that differ, in the order of the files; a group whose address was there before is the same target.
struct Compared<'a> {
    added: Vec<&'a [u8]>,
    removed: Vec<&'a [u8]>,
    changed: Vec<&'a [u8]>,
}

impl<'a> Compared<'a> {
    fn new(before: &'a [u8], after: &'a [u8]) -> Self {
        let (before, after) = middles(before, after);
        let (before, all_before) = groups(before);
        let (after, all_after) = groups(after);
        let gone = || before.iter().filter(|line| !all_after.contains(*line));
        let new = after.iter().filter(|line| !all_before.contains(*line));

        let mut gone_from: HashMap<&[u8], usize, Hashing> = HashMap::default();
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

/// Whole lines are hashed.
type Hashing = Xxh3DefaultBuilder;

/// What is left of two files without the lines that both begin with, and those that both end with.
fn middles<'a>(before: &'a [u8], after: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let start = before[..same].iter().rposition(|byte| *byte == b'\n');
    let (before, after) = match start {
        Some(end_of_line) => (&before[end_of_line + 1..], &after[end_of_line + 1..]),
        None => (before, after),
    };
    let pairs = before.iter().rev().zip(after.iter().rev());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let end = before[before.len() - same..]
        .iter()
        .position(|byte| *byte == b'\n');
    let kept = end.map_or(0, |end_of_line| same - end_of_line);
    (&before[..before.len() - kept], &after[..after.len() - kept])
}

/// The lines of a file that are groups, in their order and as a set.
fn groups(bytes: &[u8]) -> (Vec<&[u8]>, HashSet<&[u8], Hashing>) {
    let mut all = HashSet::default();
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
