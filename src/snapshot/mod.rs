//! What travels from the control plane's side to the file's side: one complete list of target
//! groups, in the form in which Prometheus reads it. Neither side knows the other; both know this.
//!
//! Pure. A list is rendered once, while it is decoded, and its bytes are what the file holds. The
//! same groups give the same bytes, whatever the order in which they came, so that equal lists can be
//! recognised, and a diff of two files shows what changed.
//!
//! - `text`: a text and whether JSON can take it as it is.
//! - `group`: one target group, rendered to one line.
//! - `builder`: lines, those of the list before among them, become a list.

mod builder;
mod group;
mod text;

use std::fmt;

use crate::common::bytes::{are_equal, compare};

pub use builder::{Builder, Built, LIST_LIMIT, ListTooLong};
use group::Group;
pub use group::LabelNames;
pub use text::Text;

/// The start of a list with targets, what stands between two of its lines, and its end.
const START: &[u8] = b"[\n";
const SEPARATOR: &[u8] = b",\n";
const END: &[u8] = b"\n]\n";

/// A complete list: the bytes of a `file_sd` file, one target group a line.
///
/// The groups are sorted by their labels `mesh`, `service` and `instance`, then by address, then by all
/// that they say, as the bytes of the file have it. Equal groups stand there once.
pub struct Snapshot {
    bytes: Vec<u8>,
    groups: Vec<Group>,
}

/// What distinguishes a list from another one.
#[derive(Default)]
pub struct DifferingLines<'a> {
    /// The lines that the other one does not have.
    pub gone: Vec<&'a [u8]>,
    /// The lines that the other one has in their place: each is the only one with its mesh, service, instance
    /// and address.
    pub changed: Vec<&'a [u8]>,
    /// The lines that only the other one has, but for those.
    pub new: Vec<&'a [u8]>,
}

impl Snapshot {
    /// A list without targets.
    #[must_use]
    pub fn empty() -> Self {
        Self { bytes: b"[]\n".to_vec(), groups: Vec::new() }
    }

    /// What stands in the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many target groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The lines in which another list differs from this one.
    #[must_use]
    pub fn differing_lines<'a>(&'a self, other: &'a Self) -> DifferingLines<'a> {
        let mut differing = DifferingLines::default();
        let (mut ours, mut theirs) = (&*self.groups, &*other.groups);
        while let ([our, our_rest @ ..], [their, their_rest @ ..]) = (ours, theirs) {
            let (line, their_line) = (our.line(&self.bytes), their.line(&other.bytes));
            if are_equal(line, their_line) {
                (ours, theirs) = (our_rest, their_rest);
                continue;
            }
            let order = our.compare_keys(&self.bytes, their, &other.bytes);
            let has_other_key = |next: Option<&Group>, bytes| {
                next.is_none_or(|next| next.compare_keys(bytes, our, &self.bytes).is_ne())
            };
            if order.is_eq()
                && has_other_key(our_rest.first(), &self.bytes)
                && has_other_key(their_rest.first(), &other.bytes)
            {
                differing.changed.push(their_line);
                (ours, theirs) = (our_rest, their_rest);
            } else if order.then_with(|| compare(line, their_line)).is_lt() {
                differing.gone.push(line);
                ours = our_rest;
            } else {
                differing.new.push(their_line);
                theirs = their_rest;
            }
        }
        differing.gone.extend(ours.iter().map(|our| our.line(&self.bytes)));
        differing.new.extend(theirs.iter().map(|their| their.line(&other.bytes)));
        differing
    }

    /// How many there are of each mesh and service, in the order of the list. Both are the values of the
    /// labels as the file has them, so as JSON escapes them.
    #[must_use]
    pub fn services(&self) -> Vec<([&[u8]; 2], usize)> {
        let mut services: Vec<([&[u8]; 2], usize)> = Vec::new();
        for group in &self.groups {
            let service = group.mesh_and_service(&self.bytes);
            match services.last_mut() {
                Some((last, count)) if *last == service => *count += 1,
                _ => services.push((service, 1)),
            }
        }
        services
    }

    /// How many of them have this value of the label `service`. It is asked of each accepted list: unlike
    /// `services`, it reads only the lines whose value is as long.
    #[must_use]
    pub fn groups_of_service(&self, service: &str) -> usize {
        let is_of_service = |group: &&Group| group.service(&self.bytes) == service.as_bytes();
        self.groups.iter().filter(is_of_service).count()
    }
}

/// The groups are where the bytes say.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        are_equal(&self.bytes, &other.bytes)
    }
}

impl Eq for Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}
