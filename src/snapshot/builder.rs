//! Makes a list of new groups and of such as stand in the list before: those are not rendered again,
//! and come in the right order already.

use std::sync::Arc;
use std::{fmt, iter};

use super::group::Group;
use super::{END, SEPARATOR, START, Snapshot, Text};
use crate::common::bytes::{are_equal, leading_bytes};

/// The longest list, in bytes; 500,000 targets of normal size take half of it.
pub const LIST_LIMIT: usize = 512 << 20;

/// The list would exceed `LIST_LIMIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTooLong;

impl fmt::Display for ListTooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the list would take more than {} MiB",
            LIST_LIMIT >> 20
        )
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
    /// All groups in the order in which they came.
    arrivals: Vec<Arrival>,
    /// The bytes that all of them take.
    length: usize,
}

#[derive(Clone, Copy)]
enum Arrival {
    /// The group at this place of the list before.
    Kept(u32),
    /// The group at this place of the new ones.
    New(u32),
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

    /// How many bytes are left for further groups.
    #[must_use]
    pub fn left(&self) -> usize {
        LIST_LIMIT.saturating_sub(self.length)
    }

    /// Takes a group from its place in the list before.
    ///
    /// # Errors
    /// Where the list becomes too long.
    pub fn keep(&mut self, place: u32) -> Result<(), ListTooLong> {
        self.is_kept[place as usize] = true;
        self.arrive(Arrival::Kept(place), self.before.groups[place as usize])
    }

    /// Renders a group. Of the labels, sorted by name, the names are valid, and none comes twice.
    ///
    /// # Errors
    /// Where the list becomes too long.
    pub fn append<'b>(
        &mut self,
        address: Text<'_>,
        labels: impl Iterator<Item = (&'b [u8], Text<'b>)>,
    ) -> Result<(), ListTooLong> {
        let group = Group::append(&mut self.lines, address, labels);
        let place = u32::try_from(self.new.len()).map_err(|_| ListTooLong)?;
        self.new.push(group);
        self.arrive(Arrival::New(place), group)
    }

    fn arrive(&mut self, arrival: Arrival, group: Group) -> Result<(), ListTooLong> {
        self.arrivals.push(arrival);
        self.length += group.length() + SEPARATOR.len();
        if self.length > LIST_LIMIT {
            return Err(ListTooLong);
        }
        Ok(())
    }

    /// Sorts the groups, and leaves out all but one of equal ones.
    #[must_use]
    pub fn finish(self) -> Built {
        let mut kept_places: Vec<u32> = (0..).take(self.is_kept.len()).collect();
        let mut new_places = vec![0; self.new.len()];
        let is_unchanged = self.new.is_empty() && self.is_kept.iter().all(|is_kept| *is_kept);
        let snapshot = if is_unchanged {
            Arc::clone(self.before)
        } else {
            let mut merged = Merged::new(self.length, self.arrivals.len());
            for arrival in self.sorted() {
                let (group, bytes) = self.group(arrival);
                let place = merged.push(group, bytes);
                match arrival {
                    Arrival::Kept(index) => kept_places[index as usize] = place,
                    Arrival::New(index) => new_places[index as usize] = place,
                }
            }
            self.or_before(merged.finish())
        };
        let places = self.arrivals.iter().map(|arrival| match arrival {
            Arrival::Kept(index) => kept_places[*index as usize],
            Arrival::New(index) => new_places[*index as usize],
        });
        let places = places.collect();
        Built { snapshot, places }
    }

    /// A group, and the bytes that its line is among.
    fn group(&self, arrival: Arrival) -> (&Group, &[u8]) {
        match arrival {
            Arrival::Kept(index) => (
                &self.before.groups[index as usize],
                self.before.bytes.as_slice(),
            ),
            Arrival::New(index) => (&self.new[index as usize], &self.lines),
        }
    }

    /// Each group once, in the order of the list: those that are kept are sorted already.
    fn sorted(&self) -> Vec<Arrival> {
        let mut sorted = Vec::with_capacity(self.arrivals.len());
        let mut new = sorted_indices(&self.new, &self.lines)
            .into_iter()
            .peekable();
        let kept = (0..).zip(&self.is_kept).filter(|(_, is_kept)| **is_kept);
        for (index, _) in kept {
            let (kept, bytes) = self.group(Arrival::Kept(index));
            let is_before = |index: &u32| {
                let (new, lines) = self.group(Arrival::New(*index));
                new.compare(lines, kept, bytes).is_lt()
            };
            sorted.extend(iter::from_fn(|| new.next_if(is_before)).map(Arrival::New));
            sorted.push(Arrival::Kept(index));
        }
        sorted.extend(new.map(Arrival::New));
        sorted
    }

    /// The list before, where this one is equal.
    fn or_before(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        if snapshot == **self.before {
            return Arc::clone(self.before);
        }
        Arc::new(snapshot)
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
        Self {
            bytes,
            groups: Vec::with_capacity(groups),
        }
    }

    /// Appends a group, unless the last one is equal; says where it stands.
    fn push(&mut self, group: &Group, bytes: &[u8]) -> u32 {
        let is_twin = |last: &Group| are_equal(last.line(&self.bytes), group.line(bytes));
        if !self.groups.last().is_some_and(is_twin) {
            if !self.groups.is_empty() {
                self.bytes.extend_from_slice(SEPARATOR);
            }
            let group = group.copy(bytes, &mut self.bytes);
            self.groups.push(group);
        }
        u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
    }

    fn finish(mut self) -> Snapshot {
        if self.groups.is_empty() {
            return Snapshot::empty();
        }
        self.bytes.extend_from_slice(END);
        Snapshot {
            bytes: self.bytes,
            groups: self.groups,
        }
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
        [
            leading_bytes(key),
            leading_bytes(key.get(16..).unwrap_or_default()),
        ]
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
    if other
        .get(..start.len())
        .is_some_and(|other| are_equal(start, other))
    {
        return start;
    }
    let length = start.iter().zip(other).take_while(|(a, b)| a == b).count();
    &start[..length]
}
