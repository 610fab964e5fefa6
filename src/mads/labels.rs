//! The labels of a target: which names Prometheus accepts, what becomes of the others, and whose
//! labels win.
//!
//! Pure. All of it depends on the names alone, and most targets of a list have the same names as others. So it is
//! found out once for each set of names.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::str::Utf8Error;

use crate::common::hash::{ByHash, hash};
use crate::snapshot::{Builder, LabelNames, ListTooLong, Text};

/// The label that names the address to scrape. Prometheus takes it from `targets`, so it never
/// stays among the labels of a group.
const ADDRESS_LABEL: &str = "__address__";

/// Which labels a target gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LabelStyle {
    /// Those of the original tool: final, as the control plane sends them.
    #[default]
    Original,
    /// Those of Prometheus' own `kuma_sd`, to be relabelled: labels of users are `__meta_kuma_label_NAME`,
    /// and there is no `job`.
    KumaSd,
}

/// How the names of users' labels begin in the style of `kuma_sd`.
const KUMA_SD_PREFIX: &str = "__meta_kuma_label_";

impl LabelStyle {
    /// The name of a label that the control plane calls `name`; a `field` is one that every target of v1 has.
    /// v1alpha1 has all labels in one map, so there those of these names are the fields. Empty where
    /// the label is left out.
    fn name_of(self, name: &str, is_field: bool, has_fields: bool) -> String {
        if self == Self::Original || name.is_empty() {
            return valid_name(name);
        }
        match name {
            _ if has_fields && !is_field => {}
            "mesh" => return "__meta_kuma_mesh".to_owned(),
            // In v1alpha1 the service is the job.
            "job" => return "__meta_kuma_service".to_owned(),
            "service" if is_field => return "__meta_kuma_service".to_owned(),
            "dataplane" => return "__meta_kuma_dataplane".to_owned(),
            "instance" | "__scheme__" | "__metrics_path__" | ADDRESS_LABEL => {
                return name.to_owned();
            }
            _ => {}
        }
        format!("{KUMA_SD_PREFIX}{}", allowed_characters(name))
    }
}

/// A label as it came.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a> {
    /// Any bytes: whether they are UTF-8 is looked at once for each set of names.
    pub(crate) name: &'a [u8],
    pub(crate) value: Text<'a>,
}

impl<'a> Label<'a> {
    pub(crate) const fn of(name: &'a str, value: Text<'a>) -> Self {
        let name = name.as_bytes();
        Self { name, value }
    }
}

/// The labels of one target: maps one behind the other, of which a later one wins over those before.
#[derive(Default)]
pub(crate) struct TargetLabels<'a> {
    labels: Vec<Label<'a>>,
    /// Where each map but the first one starts.
    starts: Vec<usize>,
    /// Whether the last map has the labels that each target of the API version has.
    has_fields: bool,
    /// The names of all labels but those, with what ends a name and what starts a map.
    names: Vec<u8>,
}

/// Bytes that no text has.
const NAME_END: u8 = 0xff;
const MAP_START: u8 = 0xfe;

impl<'a> TargetLabels<'a> {
    pub(crate) fn clear(&mut self) {
        self.labels.clear();
        self.starts.clear();
        self.has_fields = false;
        self.names.clear();
    }

    /// Adds a label to the last map.
    #[inline]
    pub(crate) fn push(&mut self, label: Label<'a>) {
        self.labels.push(label);
        self.names.extend_from_slice(label.name);
        self.names.push(NAME_END);
    }

    /// Adds a map, which wins over those before it.
    pub(crate) fn push_map(&mut self, map: &[Label<'a>]) {
        self.starts.push(self.labels.len());
        self.names.push(MAP_START);
        map.iter().for_each(|label| self.push(*label));
    }

    /// Adds a map of labels of which each target of the API version has the same names.
    pub(crate) fn push_fields(&mut self, fields: &[Label<'a>]) {
        self.starts.push(self.labels.len());
        self.has_fields = true;
        self.labels.extend_from_slice(fields);
    }

    /// The places of each map's labels.
    fn maps(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.starts.iter().copied().chain([self.labels.len()]);
        let starts = [0].into_iter().chain(self.starts.iter().copied());
        starts.zip(ends).map(|(start, end)| start..end)
    }
}

/// Which labels of a target count, by the names that they get.
pub(crate) struct LabelOrder {
    /// Each name once, sorted, all of them valid.
    names: LabelNames,
    /// The places of the labels that win these names.
    places: Vec<usize>,
    /// The place of the address, where the last map has one.
    address: Option<usize>,
    instance: Option<usize>,
}

impl LabelOrder {
    /// Makes the names of each map valid, as a single invalid name makes Prometheus 2 refuse the whole
    /// file, and then merges the maps. Of equal names in a map the last one counts, as everywhere in
    /// protobuf and JSON. Where two names of a map meet only when they are made valid, the one that was
    /// valid as it came wins, then the first in byte order.
    fn of(labels: &TargetLabels<'_>, style: LabelStyle) -> Result<Self, Utf8Error> {
        let last_map = labels.starts.len();
        let mut candidates = Vec::with_capacity(labels.labels.len());
        for (map, places) in labels.maps().enumerate() {
            for place in places {
                let original = str::from_utf8(labels.labels[place].name)?;
                let is_field = labels.has_fields && map == last_map;
                let name = style.name_of(original, is_field, labels.has_fields);
                if !name.is_empty() {
                    let is_made_valid = match style {
                        LabelStyle::Original => name != original,
                        LabelStyle::KumaSd => !name.ends_with(original),
                    };
                    // Sorted by what wins the name.
                    let rank = (Reverse(map), is_made_valid, original, Reverse(place));
                    candidates.push((name, rank, place));
                }
            }
        }
        candidates.sort_unstable();
        candidates.dedup_by(|(name, ..), (winner, ..)| name == winner);
        let winner = |wanted: &str| candidates.iter().find(|(name, ..)| name == wanted);
        let is_of_last_map = |map: Reverse<usize>| map == Reverse(last_map);
        let address = winner(ADDRESS_LABEL).filter(|(_, rank, _)| is_of_last_map(rank.0));
        let address = address.map(|(.., place)| *place);
        let instance = winner("instance").map(|(.., place)| *place);
        candidates.retain(|(name, ..)| name != ADDRESS_LABEL);
        Ok(Self {
            names: LabelNames::new(candidates.iter().map(|(name, ..)| &**name)),
            places: candidates.iter().map(|(.., place)| *place).collect(),
            address,
            instance,
        })
    }

    /// The address, where the last map has one that is not empty.
    pub(crate) fn address<'a>(&self, labels: &TargetLabels<'a>) -> Option<Text<'a>> {
        let address = labels.labels[self.address?].value;
        (!address.is_empty()).then_some(address)
    }

    /// The value of the label `instance`, which may be empty.
    pub(crate) fn instance<'a>(&self, labels: &TargetLabels<'a>) -> Text<'a> {
        self.instance.map_or(Text::EMPTY, |place| labels.labels[place].value)
    }

    /// Appends the group of a target to the list.
    pub(crate) fn append(
        &self,
        labels: &TargetLabels<'_>,
        builder: &mut Builder<'_>,
        address: Text<'_>,
    ) -> Result<(), ListTooLong> {
        let values = self.places.iter().map(|place| labels.labels[*place].value);
        builder.append(address, &self.names, values)
    }
}

/// The orders of the labels of one response's targets.
pub(crate) struct LabelOrders {
    style: LabelStyle,
    orders: ByHash<LabelOrder>,
    /// About how many bytes they take.
    size: usize,
}

/// About how many bytes of orders are kept: those of some thousand sets of names.
const ORDERS_SIZE: usize = 4 << 20;

/// What an order takes beside its names.
const ORDER_SIZE: usize = 512;

impl LabelOrders {
    /// None yet, for labels of a style.
    pub(crate) fn new(style: LabelStyle) -> Self {
        Self { style, orders: ByHash::default(), size: 0 }
    }

    /// The order of a target's labels.
    ///
    /// # Errors
    /// Where a name is not UTF-8.
    pub(crate) fn of(&mut self, labels: &TargetLabels<'_>) -> Result<&LabelOrder, Utf8Error> {
        if self.size > ORDERS_SIZE {
            *self = Self::new(self.style);
        }
        // Names that are no text may have the bytes that separate names. But as many names as those of a
        // known order, whose bytes are the same, have as many of them, so each separates two.
        let hash = hash(&labels.names, labels.labels.len() as u64);
        match self.orders.entry(hash) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                self.size += labels.names.len() + ORDER_SIZE;
                Ok(entry.insert(LabelOrder::of(labels, self.style)?))
            }
        }
    }
}

/// A name that Prometheus 2 accepts: `[a-zA-Z_][a-zA-Z0-9_]*`. One that it accepts already stays as it is, and so
/// does an empty one.
fn valid_name(name: &str) -> String {
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    let prefix = if starts_with_digit { "_" } else { "" };
    prefix.to_owned() + &allowed_characters(name)
}

/// A name with `_` in the place of each character that no name may have.
fn allowed_characters(name: &str) -> String {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.replace(|character| !is_allowed(character), "_")
}
