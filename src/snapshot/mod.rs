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

use std::cmp::Ordering;
use std::fmt;

use crate::common::bytes::are_equal;

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

impl Snapshot {
    /// A list without targets.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            bytes: b"[]\n".to_vec(),
            groups: Vec::new(),
        }
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

    /// The lines that stand in this list only, and those that stand in the other one only.
    #[must_use]
    pub fn differing_lines<'a>(&'a self, other: &'a Self) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
        let (mut ours, mut theirs) = (
            self.groups.iter().peekable(),
            other.groups.iter().peekable(),
        );
        let (mut only_ours, mut only_theirs) = (Vec::new(), Vec::new());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (Some(our), Some(their)) => our.compare(&self.bytes, their, &other.bytes),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return (only_ours, only_theirs),
            };
            let (our, their) = (
                ours.next_if(|_| order.is_le()),
                theirs.next_if(|_| order.is_ge()),
            );
            if order.is_ne() {
                only_ours.extend(our.map(|our| our.line(&self.bytes)));
                only_theirs.extend(their.map(|their| their.line(&other.bytes)));
            }
        }
    }

    /// How many of them have this value of the label `service`.
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
