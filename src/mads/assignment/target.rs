//! A target on its way into the list: whose labels win, and what is counted before it is built.

use super::{FIELD_LIMIT, OverLimit, SkippedTarget};
use crate::mads::labels::{Label, LabelOrders, LabelStyle, TargetLabels};
use crate::snapshot::{Builder, Text};

/// A target counts for so many fields, however little it says.
const FIELDS_OF_A_TARGET: usize = 12;

/// The longest target of a message, with what its assignment shares, in bytes before they are escaped.
const TARGET_LIMIT: usize = 16 << 20;

/// What a skipped target takes beside its texts.
const SKIPPED_SIZE: usize = 64;

/// Takes the targets of a response's resources. `'a` is the life of their bytes.
pub(super) struct Targets<'a, 'b> {
    pub(super) builder: Builder<'b>,
    pub(super) skipped: Vec<SkippedTarget>,
    /// The labels of one target; kept for the next one's, as each list has many.
    pub(super) labels: TargetLabels<'a>,
    pub(super) orders: LabelOrders,
    skipped_length: usize,
    /// How many have been taken.
    pub(super) fields: usize,
}

impl<'b> Targets<'_, 'b> {
    pub(super) fn new(builder: Builder<'b>, style: LabelStyle) -> Self {
        Self {
            builder,
            skipped: Vec::new(),
            labels: TargetLabels::default(),
            orders: LabelOrders::new(style),
            skipped_length: 0,
            fields: 0,
        }
    }

    /// Counts parts of a resource before they are decoded.
    pub(super) fn take_fields(&mut self, fields: usize) -> Result<(), OverLimit> {
        self.fields = self.fields.saturating_add(fields);
        if self.fields > FIELD_LIMIT {
            return Err(OverLimit::Fields);
        }
        Ok(())
    }

    /// Counts the targets of an assignment before the first one is built. What they share is copied
    /// into each of them: so many bytes, and the assignment's labels.
    pub(super) fn take_targets(
        &mut self,
        targets: usize,
        shared: usize,
        labels: &[Label<'_>],
    ) -> Result<(), OverLimit> {
        let copies = targets.saturating_sub(1).saturating_mul(labels.len());
        self.take_fields(targets.saturating_mul(FIELDS_OF_A_TARGET).saturating_add(copies))?;
        let length = |label: &Label<'_>| label.name.len() + label.value.bytes().len();
        let shared = shared + labels.iter().map(length).sum::<usize>();
        if shared > TARGET_LIMIT || shared.saturating_mul(targets) > self.builder.left() {
            return Err(OverLimit::List);
        }
        Ok(())
    }

    /// Refuses a target of too many bytes before it is built.
    pub(super) fn check_target(length: usize) -> Result<(), OverLimit> {
        if length > TARGET_LIMIT {
            return Err(OverLimit::List);
        }
        Ok(())
    }

    /// Takes a target that has no address.
    pub(super) fn skip(&mut self, assignment: String, target: String) -> Result<(), OverLimit> {
        self.skipped_length += assignment.len() + target.len() + SKIPPED_SIZE;
        if self.skipped_length > self.builder.left() {
            return Err(OverLimit::List);
        }
        self.skipped.push(SkippedTarget { assignment, target });
        Ok(())
    }
}

/// The fields of a v1 assignment that its targets share, its labels included.
#[derive(Default)]
pub(super) struct SharedV1<'a> {
    pub(super) mesh: Text<'a>,
    pub(super) service: Text<'a>,
    pub(super) labels: Vec<Label<'a>>,
}

/// The fields of a target of v1, but for its labels.
#[derive(Clone, Copy, Default)]
pub(super) struct TargetV1<'a> {
    pub(super) name: Text<'a>,
    pub(super) scheme: Text<'a>,
    pub(super) address: Text<'a>,
    pub(super) metrics_path: Text<'a>,
}

impl<'a> SharedV1<'a> {
    /// How many bytes of the fields, but for the labels, each target gets at least.
    pub(super) fn length(&self) -> usize {
        self.mesh.bytes().len() + self.service.bytes().len()
    }

    /// Adds to a target's own labels those of the assignment, which win over them, and the fields, which
    /// win over both.
    pub(super) fn complete(&self, target: TargetV1<'a>, labels: &mut TargetLabels<'a>) {
        labels.push_map(&self.labels);
        labels.push_fields(&[
            Label::of("mesh", self.mesh),
            Label::of("service", self.service),
            Label::of("job", self.service),
            Label::of("dataplane", target.name),
            Label::of("instance", target.name),
            Label::of("__scheme__", target.scheme),
            Label::of("__metrics_path__", target.metrics_path),
        ]);
    }

    /// How a target without an address is named.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.mesh, self.service)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FIELD_LIMIT, Targets};
    use crate::mads::api_version::ApiVersion;
    use crate::mads::assignment::{Resource, decode_resource};
    use crate::mads::labels::LabelStyle;
    use crate::snapshot::{Builder, LIST_LIMIT, Snapshot};

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let length = value.len();
        let length = match u8::try_from(length) {
            Ok(length) if length < 0x80 => vec![length],
            _ => vec![(length & 0x7f) as u8 | 0x80, (length >> 7) as u8],
        };
        [&[number << 3 | 2], &*length, value].concat()
    }

    /// The labels of a dataplane with five tags.
    fn tags(number: u8) -> Vec<u8> {
        let tags = ["kuma_io_service", "env", "version", "kuma_io_zone", "team"];
        let labels = tags.iter().flat_map(|name| {
            let value = "backend-in-production";
            [((*name).to_owned(), value.to_owned()), (format!("{name}s"), format!(",{value},"))]
        });
        let entry = |(name, value): (String, String)| {
            field(number, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
        };
        labels.flat_map(entry).collect()
    }

    #[test]
    fn half_a_million_targets_of_normal_size_fit() {
        let name = b"backend-5c89f4d995-85znn.default";
        let target = [
            field(1, name),
            field(2, b"http"),
            field(3, b"192.168.100.200:5670"),
            field(4, b"/metrics"),
            tags(5),
        ];
        let v1 = [
            field(2, b"default"),
            field(3, b"backend_default_svc_8080"),
            field(4, &target.concat()),
        ];
        let address =
            field(1, &[field(1, b"__address__"), field(2, b"192.168.100.200:5670")].concat());
        let v1alpha1 = [field(1, name), field(2, &[address, tags(1)].concat())];
        for (api_version, assignment) in
            [(ApiVersion::V1, v1.concat()), (ApiVersion::V1alpha1, v1alpha1.concat())]
        {
            let resource = Resource::Protobuf(api_version, assignment.into());
            let empty = Arc::new(Snapshot::empty());
            let mut targets = Targets::new(Builder::new(&empty, 0, 0), LabelStyle::Original);
            let Ok(()) = decode_resource(api_version, &resource, &mut targets) else {
                panic!("it cannot be decoded");
            };
            assert_eq!(targets.builder.arrived(), 1);
            let length = LIST_LIMIT - targets.builder.left();
            assert!(length * 500_000 <= LIST_LIMIT, "{length}");
            let fields = targets.fields;
            assert!(fields * 500_000 <= FIELD_LIMIT, "{fields}");
        }
    }
    #[test]
    fn names_that_are_no_text_are_no_names_that_were_seen_before() {
        let target = |names: &[&[u8]]| {
            let label = |name: &&[u8]| field(5, &field(1, name));
            let labels: Vec<u8> = names.iter().flat_map(label).collect();
            field(4, &[field(3, b"10.0.0.1:80"), labels].concat())
        };
        let texts: &[&[u8]] = &[b"a", b"b", b"c"];
        for (names, is_decoded) in
            [(texts, true), (&[b"a", b"b\xffc"], false), (&[b"a\xffb\xffc"], false)]
        {
            let assignment = [target(texts), target(names)].concat();
            let resource = Resource::Protobuf(ApiVersion::V1, assignment.into());
            let empty = Arc::new(Snapshot::empty());
            let mut targets = Targets::new(Builder::new(&empty, 0, 0), LabelStyle::Original);
            let result = decode_resource(ApiVersion::V1, &resource, &mut targets);
            assert_eq!(result.is_ok(), is_decoded, "{names:?}");
        }
    }
}
