//! The labels of a target: which names Prometheus accepts, what becomes of the others, and whose
//! labels win.
//!
//! Pure. All this depends on the names alone, and of the targets of a list most have the same names as
//! another one. So it is found out once for each set of names.

use std::cmp::Reverse;
use std::ops::Range;

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
    pub(crate) name: Text<'a>,
    pub(crate) value: Text<'a>,
}

impl<'a> Label<'a> {
    /// A label of a name that is known to be valid.
    pub(crate) const fn valid(name: &'static str, value: Text<'a>) -> Self {
        let name = Text::plain(name);
        Self { name, value }
    }
}

/// The labels of one target: maps one behind the other, of which a later one wins over those before.
#[derive(Default)]
pub(crate) struct TargetLabels<'a> {
    labels: Vec<Label<'a>>,
    /// Where each map but the first one starts.
    starts: Vec<usize>,
    /// Whether the last map has the labels that every target of the API version has.
    has_fields: bool,
    /// The names of all labels that not every target has, with what ends a name and what starts a map.
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
        self.names.extend_from_slice(label.name.bytes());
        self.names.push(NAME_END);
    }

    /// Adds a map, which wins over those before it.
    pub(crate) fn push_map(&mut self, map: &[Label<'a>]) {
        self.starts.push(self.labels.len());
        self.names.push(MAP_START);
        map.iter().for_each(|label| self.push(*label));
    }

    /// Adds the map of the labels that every target of an API version has.
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
    fn of(labels: &TargetLabels<'_>, style: LabelStyle) -> Self {
        let last_map = labels.starts.len();
        let mut candidates = Vec::with_capacity(labels.labels.len());
        for (map, places) in labels.maps().enumerate() {
            for place in places {
                let original = labels.labels[place].name.as_str();
                let is_field = labels.has_fields && map == last_map;
                let name = style.name_of(&original, is_field, labels.has_fields);
                if !name.is_empty() {
                    let is_made_valid = match style {
                        LabelStyle::Original => name != original,
                        LabelStyle::KumaSd => !name.ends_with(&*original),
                    };
                    // Sorted by what wins the name.
                    let rank = (Reverse(map), is_made_valid, original, Reverse(place));
                    candidates.push((name, rank, place));
                }
            }
        }
        candidates.sort_unstable();
        candidates.dedup_by(|(name, ..), (winner, ..)| name == winner);
        let place_of = |wanted: &str| {
            let (_, rank, place) = candidates.iter().find(|(name, ..)| name == wanted)?;
            Some((rank.0, *place))
        };
        let address = place_of(ADDRESS_LABEL).filter(|(map, _)| *map == Reverse(last_map));
        let instance = place_of("instance");
        let (address, instance) = (address.map(|found| found.1), instance.map(|found| found.1));
        candidates.retain(|(name, ..)| name != ADDRESS_LABEL);
        Self {
            names: LabelNames::new(candidates.iter().map(|(name, ..)| &**name)),
            places: candidates.iter().map(|(.., place)| *place).collect(),
            address,
            instance,
        }
    }

    /// The address, where the last map has one that is not empty.
    pub(crate) fn address<'a>(&self, labels: &TargetLabels<'a>) -> Option<Text<'a>> {
        let address = labels.labels[self.address?].value;
        (!address.is_empty()).then_some(address)
    }

    /// The value of the label `instance`, which may be empty.
    pub(crate) fn instance<'a>(&self, labels: &TargetLabels<'a>) -> Text<'a> {
        self.instance
            .map_or(Text::EMPTY, |place| labels.labels[place].value)
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
        Self {
            style,
            orders: ByHash::default(),
            size: 0,
        }
    }

    /// The order of a target's labels.
    pub(crate) fn of(&mut self, labels: &TargetLabels<'_>) -> &LabelOrder {
        if self.size > ORDERS_SIZE {
            *self = Self::new(self.style);
        }
        self.orders
            .entry(hash(&labels.names, 0))
            .or_insert_with(|| {
                self.size += labels.names.len() + ORDER_SIZE;
                LabelOrder::of(labels, self.style)
            })
    }
}

/// A name that Prometheus 2 accepts: `[a-zA-Z_][a-zA-Z0-9_]*`. One that it accepts as it is, or that is empty,
/// stays as it is.
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
