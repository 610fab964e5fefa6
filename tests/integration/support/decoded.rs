//! Lists as tests make them and look at them: decoded by a decoder that knows nothing yet, or put
//! together from groups; and what the file of groups must be, by a plain implementation of its own.

use std::sync::Arc;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use kuma_prometheus_sd::mads::assignment::{Decoder, Resource, ResourceError, SkippedTarget};
use kuma_prometheus_sd::mads::labels::LabelStyle;
use kuma_prometheus_sd::snapshot::{Builder, LabelNames, Snapshot, Text};

use crate::support::prometheus::{Group, groups};

/// What the resources of a response say.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) count: usize,
    pub(crate) targets: usize,
    pub(crate) groups: Vec<Group>,
    pub(crate) skipped: Vec<SkippedTarget>,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// Decodes the resources of a first response.
pub(crate) fn decode(
    api_version: ApiVersion,
    resources: &[Resource],
) -> Result<Decoded, ResourceError> {
    decode_in(LabelStyle::Original, api_version, resources)
}

/// The same with labels of a style.
pub(crate) fn decode_in(
    style: LabelStyle,
    api_version: ApiVersion,
    resources: &[Resource],
) -> Result<Decoded, ResourceError> {
    let found = Decoder::new(style).decode(api_version, resources.to_vec())?;
    Ok(Decoded {
        count: found.count,
        targets: found.targets,
        groups: groups(found.snapshot.bytes()),
        skipped: found.skipped,
        snapshot: found.snapshot,
    })
}

/// A target group.
pub(crate) fn group(address: &str, labels: &[(&str, &str)]) -> Group {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Group { address: address.to_owned(), labels: labels.iter().map(owned).collect() }
}

/// The list of these groups.
pub(crate) fn snapshot(groups: &[Group]) -> Arc<Snapshot> {
    let empty = Arc::new(Snapshot::empty());
    let mut builder = Builder::new(&empty, 0, 0);
    for Group { address, labels } in groups {
        let names = LabelNames::new(labels.keys().map(String::as_str));
        let values = labels.values().map(|value| Text::from(&**value));
        let address = Text::from(&**address);
        builder.append(address, &names, values).unwrap();
    }
    builder.finish().snapshot
}

/// The file of these groups, sorted by what stands in it, equal ones once.
pub(crate) fn expected_file(groups: &[Group]) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let escaped = |text: &str| {
        let text = quoted(text);
        text[1..text.len() - 1].to_owned()
    };
    let line = |group: &Group| {
        let labels = group.labels.iter();
        let labels: Vec<_> =
            labels.map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
        let address = quoted(&group.address);
        format!("{{\"targets\":[{address}],\"labels\":{{{}}}}}", labels.join(","))
    };
    let mut lines: Vec<_> = groups
        .iter()
        .map(|group| {
            let label = |name: &str| group.labels.get(name).map_or("", String::as_str);
            let key = [label("mesh"), label("service"), label("instance"), &group.address];
            (key.map(escaped), line(group))
        })
        .collect();
    lines.sort();
    lines.dedup();
    if lines.is_empty() {
        return "[]\n".to_owned();
    }
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}
