//! What a monitoring assignment means: decodes the resources of a response, of both MADS API
//! versions, from protobuf or JSON, into a list of target groups.
//!
//! Pure. It knows whose labels win and which names Prometheus accepts; it does not know the file.
//!
//! Most of a list is as it was in the list before, under another version and in another order. So a
//! resource is known by a hash of its bytes, and one that was decoded for the list before is not
//! decoded again: its groups are taken from there.

mod json;
mod protobuf;
mod target;

use std::fmt;
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::common::hash::{ByHash, Hash, hash};
use crate::mads::api_version::ApiVersion;
use crate::mads::labels::LabelStyle;
use crate::snapshot::{Builder, Built, ListTooLong, Snapshot};
use target::Targets;

/// One resource of a response, as it came over the wire: a slice of the message it came in.
#[derive(Debug, Clone)]
pub enum Resource {
    /// A `google.protobuf.Any` from a gRPC stream, of the type of an API version.
    Protobuf(ApiVersion, Bytes),
    /// The same of any other type.
    Foreign(String),
    /// A JSON object with an `@type`, from an HTTP answer.
    Json(Bytes),
}

impl Resource {
    /// How many bytes it has that are to be decoded.
    #[must_use]
    pub fn length(&self) -> usize {
        match self {
            Self::Protobuf(_, bytes) | Self::Json(bytes) => bytes.len(),
            Self::Foreign(_) => 0,
        }
    }

    /// The hash of all that its meaning depends on. What cannot be decoded has one that nothing else has.
    fn hash(&self, api_version: ApiVersion) -> Hash {
        match self {
            Self::Protobuf(of, bytes) if *of == api_version => hash(bytes, *of as u64),
            Self::Json(bytes) => hash(bytes, !(api_version as u64)),
            Self::Protobuf(..) | Self::Foreign(_) => Hash::default(),
        }
    }
}

/// A target that cannot be scraped because it has no address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkippedTarget {
    /// The assignment it belongs to: `mesh/service` in v1, its own name in v1alpha1.
    pub assignment: String,
    /// The target's name, empty where it has none.
    pub target: String,
}

impl fmt::Display for SkippedTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "target {:?} of assignment {:?}", self.target, self.assignment)
    }
}

/// All that the resources of one response say.
#[derive(Debug)]
pub struct Assignments {
    /// How many assignments there were.
    pub count: usize,
    /// How many targets with an address these had; of equal ones the list has one.
    pub targets: usize,
    /// The list that they are.
    pub snapshot: Arc<Snapshot>,
    /// Whether it is the list before, or empty and the first one.
    pub is_unchanged: bool,
    /// Their targets without an address.
    pub skipped: Vec<SkippedTarget>,
}

/// Why a resource makes its whole response unacceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceError {
    /// Its place in the response, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for ResourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, problem } = self;
        match problem {
            Problem::UnexpectedType(type_url) => {
                write!(formatter, "resource {index} has the unexpected type {type_url:?}")
            }
            Problem::Undecodable(reason) => {
                write!(formatter, "resource {index} cannot be decoded: {reason}")
            }
            Problem::OverLimit(limit) => {
                write!(formatter, "resource {index} is too much: {limit}")
            }
        }
    }
}

impl std::error::Error for ResourceError {}

/// What is wrong with a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It has another type than the one asked for: this one.
    UnexpectedType(String),
    /// Its bytes or its JSON are not an assignment, as the decoder says.
    Undecodable(String),
    /// With it, the response would become too much.
    OverLimit(OverLimit),
}

impl From<OverLimit> for Problem {
    fn from(limit: OverLimit) -> Self {
        Self::OverLimit(limit)
    }
}

impl From<ListTooLong> for Problem {
    fn from(_: ListTooLong) -> Self {
        Self::OverLimit(OverLimit::List)
    }
}

/// The parts of a response: labels, those of an assignment for each target that gets them, and targets for
/// twelve of them each. A part of two bytes takes a hundred in memory, or much time, so what counts is
/// not the length of a message.
const FIELD_LIMIT: usize = 24_000_000;

/// Which bound a response exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverLimit {
    /// The list that it would become. The labels of an assignment are copied into each of its targets.
    List,
    /// Its parts.
    Fields,
}

impl fmt::Display for OverLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => ListTooLong.fmt(formatter),
            Self::Fields => write!(formatter, "there are more than {FIELD_LIMIT} fields"),
        }
    }
}

/// Decodes one response after the other.
#[derive(Debug)]
pub struct Decoder {
    label_style: LabelStyle,
    /// The list of the last response that could be used.
    snapshot: Arc<Snapshot>,
    /// Those of its resources that had no skipped targets.
    resources: ByHash<Decoded>,
    /// The places in the list of all their groups.
    places: Vec<u32>,
}

/// What came of a resource.
#[derive(Debug)]
struct Decoded {
    /// Its groups, among all of the list in the order in which they came, as `places` has them.
    groups: Range<u32>,
    /// How many bytes these take.
    length: u32,
    /// What it counts for.
    fields: u32,
}

impl Decoder {
    /// One that knows no resource yet, and gives targets labels of a style.
    #[must_use]
    pub fn new(label_style: LabelStyle) -> Self {
        Self {
            label_style,
            snapshot: Arc::new(Snapshot::empty()),
            resources: ByHash::default(),
            places: Vec::new(),
        }
    }

    /// Decodes all resources of a response that was asked for in `api_version`.
    ///
    /// # Errors
    /// The first resource of another type, or that cannot be decoded, or that is too much: a list with a
    /// hole in it is worse than an old one, so such a response is of no use as a whole.
    pub fn decode(
        &mut self,
        api_version: ApiVersion,
        resources: Vec<Resource>,
    ) -> Result<Assignments, ResourceError> {
        let hashes: Vec<_> = resources.iter().map(|resource| resource.hash(api_version)).collect();
        let known: Vec<_> = hashes.iter().map(|hash| self.resources.get(hash)).collect();
        let mut targets = Targets::new(self.builder(&resources, &known), self.label_style);
        let decoded = self.decode_each(api_version, &resources, &known, &mut targets)?;
        let Targets { builder, skipped, .. } = targets;
        let (count, targets) = (resources.len(), builder.arrived());
        // A message may be large, and is not needed any more when the list is put together.
        drop(resources);
        let Built { snapshot, places } = builder.finish();
        let is_unchanged = Arc::ptr_eq(&snapshot, &self.snapshot);
        let hashed = hashes.into_iter().zip(decoded);
        let mut resources = ByHash::with_capacity_and_hasher(count, BuildHasherDefault::new());
        resources.extend(hashed.filter_map(|(hash, decoded)| Some((hash, decoded?))));
        *self = Self {
            label_style: self.label_style,
            snapshot: Arc::clone(&snapshot),
            resources,
            places,
        };
        Ok(Assignments { count, targets, snapshot, is_unchanged, skipped })
    }

    /// A builder with room for what is to be decoded.
    fn builder(&self, resources: &[Resource], known: &[Option<&Decoded>]) -> Builder<'_> {
        let lengths = resources.iter().zip(known).map(|(resource, known)| match known {
            Some(_) => 0,
            None => resource.length(),
        });
        // A label takes four bytes more in JSON than in protobuf.
        let expected = lengths.sum::<usize>() / 4 * 5;
        Builder::new(&self.snapshot, resources.len(), expected)
    }

    /// Decodes each resource that is not known. `None` stands for one of which a target was skipped: it
    /// will be decoded the next time as well.
    fn decode_each<'a>(
        &self,
        api_version: ApiVersion,
        resources: &'a [Resource],
        known: &[Option<&Decoded>],
        targets: &mut Targets<'a, '_>,
    ) -> Result<Vec<Option<Decoded>>, ResourceError> {
        let mut decoded = Vec::with_capacity(resources.len());
        for (index, (resource, known)) in resources.iter().zip(known).enumerate() {
            let (first, skipped) = (targets.builder.arrived(), targets.skipped.len());
            let (length, fields) = (targets.builder.length(), targets.fields);
            let result = match known {
                Some(known) => self.keep(known, targets),
                None => decode_resource(api_version, resource, targets),
            };
            result.map_err(|problem| ResourceError { index, problem })?;
            let is_whole = targets.skipped.len() == skipped;
            decoded.push(is_whole.then_some(Decoded {
                groups: first as u32..targets.builder.arrived() as u32,
                length: (targets.builder.length() - length) as u32,
                fields: (targets.fields - fields) as u32,
            }));
        }
        Ok(decoded)
    }

    /// Takes the groups of a resource from the last list.
    fn keep(&self, known: &Decoded, targets: &mut Targets<'_, '_>) -> Result<(), Problem> {
        targets.take_fields(known.fields as usize)?;
        let groups = known.groups.start as usize..known.groups.end as usize;
        let length = known.length as usize;
        Ok(targets.builder.keep(&self.places[groups], length)?)
    }
}

fn decode_resource<'a>(
    api_version: ApiVersion,
    resource: &'a Resource,
    targets: &mut Targets<'a, '_>,
) -> Result<(), Problem> {
    match resource {
        Resource::Foreign(type_url) => Err(Problem::UnexpectedType(type_url.clone())),
        Resource::Protobuf(of, _) if *of != api_version => {
            Err(Problem::UnexpectedType(of.type_url().to_owned()))
        }
        Resource::Protobuf(ApiVersion::V1, bytes) => protobuf::decode_v1(bytes, targets),
        Resource::Protobuf(ApiVersion::V1alpha1, bytes) => {
            protobuf::decode_v1alpha1(bytes, targets)
        }
        Resource::Json(bytes) => json::decode(api_version, bytes, targets),
    }
}
