//! Makes a list of new groups and of such as stand in the list before: those are not rendered again,
//! and come in the right order already.

use std::fmt;
use std::ops::Range;
use std::slice::from_ref;
use std::sync::Arc;

use super::group::{Group, LabelNames};
use super::{END, SEPARATOR, START, Snapshot, Text};
use crate::common::bytes::{are_equal, leading_bytes};

/// The longest list, in bytes; 500,000 targets of normal size take half of it.
pub const LIST_LIMIT: usize = 512 << 20;

/// The list would exceed `LIST_LIMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTooLong;

impl fmt::Display for ListTooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the list would take more than {} MiB", LIST_LIMIT >> 20)
    }
}

/// Groups that are to become a list, in any order.
pub struct Builder<'a> {
    before: &'a Arc<Snapshot>,
    /// For each group of the list before, whether it is kept.
    is_kept: Vec<bool>,
    /// The lines of the new groups.
    lines: Vec<u8>,
    new: Vec<Group>,
    /// All groups in the order in which they came: their places in the list before, or, behind those, among
    /// the new ones.
    arrivals: Vec<u32>,
    /// The bytes that all of them take.
    length: usize,
}

/// A list that was built.
pub struct Built {
    /// The list; the one before itself, where nothing has changed.
    pub snapshot: Arc<Snapshot>,
    /// Where in it each group stands, in the order in which they were given to the builder.
    pub places: Vec<u32>,
}

impl<'a> Builder<'a> {
    /// No groups yet. There may be about so many, of which the new ones take about so many bytes.
    #[must_use]
    pub fn new(before: &'a Arc<Snapshot>, groups: usize, bytes: usize) -> Self {
        Self {
            before,
            is_kept: vec![false; before.groups.len()],
            lines: Vec::with_capacity(bytes),
            new: Vec::with_capacity(groups),
            arrivals: Vec::with_capacity(groups),
            length: 0,
        }
    }

    /// How many groups have been given to it: less than four billion, as each takes some bytes.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.arrivals.len()
    }

    /// The bytes that all of them take.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many bytes are left for further groups.
    #[must_use]
    pub fn left(&self) -> usize {
        LIST_LIMIT.saturating_sub(self.length)
    }

    /// Takes groups of so many bytes from their places in the list before.
    ///
    /// # Errors
    /// Where the list becomes too long.
    pub fn keep(&mut self, places: &[u32], length: usize) -> Result<(), ListTooLong> {
        for place in places {
            self.is_kept[*place as usize] = true;
        }
        self.arrivals.extend_from_slice(places);
        self.lengthen(length)
    }

    /// Renders a group that has a value for each of the names.
    ///
    /// # Errors
    /// Where the list becomes too long.
    pub fn append<'b>(
        &mut self,
        address: Text<'_>,
        names: &LabelNames,
        values: impl Iterator<Item = Text<'b>>,
    ) -> Result<(), ListTooLong> {
        let place = u32::try_from(self.is_kept.len() + self.new.len());
        let group = Group::append(&mut self.lines, address, names, values);
        self.new.push(group);
        self.arrivals.push(place.map_err(|_| ListTooLong)?);
        self.lengthen(group.range().len() + SEPARATOR.len())
    }

    fn lengthen(&mut self, length: usize) -> Result<(), ListTooLong> {
        self.length += length;
        if self.length > LIST_LIMIT {
            return Err(ListTooLong);
        }
        Ok(())
    }

    /// Sorts the groups, and leaves out all but one of equal ones.
    #[must_use]
    pub fn finish(self) -> Built {
        if self.new.is_empty() && self.is_kept.iter().all(|is_kept| *is_kept) {
            return Built { snapshot: Arc::clone(self.before), places: self.arrivals };
        }
        let (snapshot, places) = self.merge();
        let snapshot = match snapshot == **self.before {
            true => Arc::clone(self.before),
            false => Arc::new(snapshot),
        };
        let place = |arrival: &u32| places[*arrival as usize];
        Built { snapshot, places: self.arrivals.iter().map(place).collect() }
    }

    /// The list, and where in it each group of the one before and each new one stands. Those of the one before
    /// are sorted already.
    fn merge(&self) -> (Snapshot, Vec<u32>) {
        let before = &self.before.groups;
        let mut merged = Merged::new(self.length, self.arrivals.len());
        let mut places = vec![0; before.len() + self.new.len()];
        let mut next = 0;
        for index in sorted_indices(&self.new, &self.lines) {
            let new = &self.new[index as usize];
            let is_before =
                |kept: &Group| kept.compare(&self.before.bytes, new, &self.lines).is_lt();
            let rest = self.is_kept[next..].iter().zip(&before[next..]);
            let passed = rest.take_while(|(is_kept, group)| !**is_kept || is_before(group));
            let until = next + passed.count();
            self.merge_kept(next..until, &mut merged, &mut places);
            next = until;
            places[before.len() + index as usize] = merged.push(from_ref(new), &self.lines);
        }
        self.merge_kept(next..before.len(), &mut merged, &mut places);
        (merged.finish(), places)
    }

    /// Adds those of some groups of the list before that are kept.
    fn merge_kept(&self, range: Range<usize>, merged: &mut Merged, places: &mut [u32]) {
        let mut start = range.start;
        for run in self.is_kept[range].chunk_by(PartialEq::eq) {
            let range = start..start + run.len();
            start = range.end;
            if run[0] {
                let first = merged.push(&self.before.groups[range.clone()], &self.before.bytes);
                places[range].iter_mut().zip(first..).for_each(|(to, place)| *to = place);
            }
        }
    }
}

/// A list that grows in its final order.
struct Merged {
    bytes: Vec<u8>,
    groups: Vec<Group>,
}

impl Merged {
    fn new(length: usize, groups: usize) -> Self {
        let mut bytes = Vec::with_capacity(START.len() + length + END.len());
        bytes.extend_from_slice(START);
        Self { bytes, groups: Vec::with_capacity(groups) }
    }

    /// Appends groups that stand one behind the other, but not the first one where it is equal to the last one
    /// here; says where the first one stands.
    fn push(&mut self, groups: &[Group], bytes: &[u8]) -> u32 {
        let is_twin = match (self.groups.last(), groups.first()) {
            (Some(last), Some(first)) => are_equal(last.line(&self.bytes), first.line(bytes)),
            _ => false,
        };
        let place = self.groups.len() - usize::from(is_twin);
        let groups = &groups[usize::from(is_twin)..];
        if let (Some(first), Some(last)) = (groups.first(), groups.last()) {
            if !self.groups.is_empty() {
                self.bytes.extend_from_slice(SEPARATOR);
            }
            let (from, to) = (first.range().start, self.bytes.len());
            self.bytes.extend_from_slice(&bytes[from..last.range().end]);
            self.groups.extend(groups.iter().map(|group| group.moved(from, to)));
        }
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn finish(mut self) -> Snapshot {
        if self.groups.is_empty() {
            return Snapshot::empty();
        }
        self.bytes.extend_from_slice(END);
        Snapshot { bytes: self.bytes, groups: self.groups }
    }
}

/// How many bytes a key has, roughly.
const KEY_LENGTH: usize = 96;

/// The order of groups. Most have the same mesh, and many the same service: so what all their keys
/// begin with is passed over, and the bytes that follow it are compared as two numbers first.
fn sorted_indices(groups: &[Group], lines: &[u8]) -> Vec<u32> {
    let mut keys = Vec::with_capacity(groups.len() * KEY_LENGTH);
    let ends: Vec<usize> = groups
        .iter()
        .map(|group| {
            group.append_key(lines, &mut keys);
            keys.len()
        })
        .collect();
    let starts = [0].into_iter().chain(ends.iter().copied());
    let keys = starts.zip(&ends).map(|(start, end)| &keys[start..*end]);
    let common = keys.clone().reduce(common_start).map_or(0, <[u8]>::len);
    let leading = |key: &[u8]| {
        let key = &key[common..];
        [leading_bytes(key), leading_bytes(key.get(16..).unwrap_or_default())]
    };
    let mut order: Vec<([u128; 2], u32)> = keys.map(leading).zip(0..).collect();
    order.sort_unstable_by(|(leading, index), (other_leading, other)| {
        leading.cmp(other_leading).then_with(|| {
            let (group, other) = (&groups[*index as usize], &groups[*other as usize]);
            group.compare(lines, other, lines)
        })
    });
    order.into_iter().map(|(_, index)| index).collect()
}

/// What both begin with.
fn common_start<'a>(start: &'a [u8], other: &'a [u8]) -> &'a [u8] {
    if other.get(..start.len()).is_some_and(|other| are_equal(start, other)) {
        return start;
    }
    let length = start.iter().zip(other).take_while(|(a, b)| a == b).count();
    &start[..length]
}
