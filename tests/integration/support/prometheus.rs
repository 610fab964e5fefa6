//! A reader of the file that refuses what Prometheus 2 refuses, and whatever is not in our form.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) address: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The groups of a file.
///
/// # Panics
/// Where Prometheus would not take the file, or it is not in our form.
#[track_caller]
pub(crate) fn groups(file: &[u8]) -> Vec<Group> {
    read(file).unwrap_or_else(|problem| {
        panic!("{problem} in:\n{}", String::from_utf8_lossy(file));
    })
}

/// The groups of a file, or what is wrong with it.
pub(crate) fn read(file: &[u8]) -> Result<Vec<Group>, String> {
    let text = std::str::from_utf8(file).map_err(|error| error.to_string())?;
    let document: Vec<Option<RawGroup>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let groups = document.into_iter().map(group).collect::<Result<_, _>>()?;
    check_lines(text, &groups)?;
    Ok(groups)
}

/// What Prometheus accepts: unknown fields, null groups and invalid names cost the whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    targets: Vec<String>,
    labels: RawLabels,
}

/// Labels as they stand there, with repetitions.
struct RawLabels(Vec<(String, String)>);

impl<'de> Deserialize<'de> for RawLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawLabels;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("labels")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawLabels, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawLabels(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn group(raw: Option<RawGroup>) -> Result<Group, String> {
    let raw = raw.ok_or("a null group")?;
    let [address] = <[String; 1]>::try_from(raw.targets)
        .map_err(|targets| format!("{} targets in one group", targets.len()))?;
    if address.is_empty() {
        return Err("an empty address".to_owned());
    }
    let labels = raw.labels.0;
    if !labels.is_sorted_by(|(before, _), (after, _)| before < after) {
        return Err("labels out of order, or repeated".to_owned());
    }
    for (name, value) in &labels {
        if !is_valid_in_prometheus_2(name) {
            return Err(format!("the invalid label name {name:?}"));
        }
        if name == "__address__" {
            return Err("an address among the labels".to_owned());
        }
        if value.is_empty() {
            return Err(format!("an empty value of {name:?}"));
        }
    }
    Ok(Group { address, labels: labels.into_iter().collect() })
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
fn is_valid_in_prometheus_2(name: &str) -> bool {
    let mut bytes = name.bytes();
    matches!(bytes.next(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'_'))
        && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9'))
}

/// One group on each line, so that a diff shows what changed.
fn check_lines(text: &str, groups: &Vec<Group>) -> Result<(), String> {
    if groups.is_empty() {
        return match text {
            "[]\n" => Ok(()),
            _ => Err("an empty list in another form".to_owned()),
        };
    }
    let inner = text
        .strip_prefix("[\n")
        .and_then(|text| text.strip_suffix("\n]\n"))
        .ok_or("no brackets on lines of their own")?;
    let lines: Vec<&str> = inner.split(",\n").collect();
    let on_lines: Result<Vec<Group>, String> = lines
        .iter()
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()))
        .map(|line| line.and_then(group))
        .collect();
    if on_lines? != *groups || lines.iter().any(|line| line.contains(['\n', '\r'])) {
        return Err("not one group on each line".to_owned());
    }
    Ok(())
}

#[test]
fn the_strict_reader_reads_our_form() {
    assert_eq!(read(b"[]\n"), Ok(Vec::new()));
    let file = b"[\n{\"targets\":[\"a:1\"],\"labels\":{\"b\":\"c\"}},\n{\"targets\":[\"d\"],\"labels\":{}}\n]\n";
    let found = read(file).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].address, "a:1");
    assert_eq!(found[0].labels["b"], "c");
}

#[test]
fn the_strict_reader_refuses_everything_else() {
    let group = |inner: &str| format!("[\n{{{inner}}}\n]\n");
    for file in [
        String::new(),
        "[]".to_owned(),
        "null\n".to_owned(),
        "[\n]\n".to_owned(),
        "[\nnull\n]\n".to_owned(),
        group(r#""targets":["a"],"labels":{},"more":1"#),
        group(r#""targets":["a"]"#),
        group(r#""targets":[],"labels":{}"#),
        group(r#""targets":["a","b"],"labels":{}"#),
        group(r#""targets":[""],"labels":{}"#),
        group(r#""targets":[null],"labels":{}"#),
        group(r#""targets":["a"],"labels":{"1a":"b"}"#),
        group(r#""targets":["a"],"labels":{"a-b":"c"}"#),
        group(r#""targets":["a"],"labels":{"é":"c"}"#),
        group(r#""targets":["a"],"labels":{"":"c"}"#),
        group(r#""targets":["a"],"labels":{"a":""}"#),
        group(r#""targets":["a"],"labels":{"a":null}"#),
        group(r#""targets":["a"],"labels":{"a":"b","a":"b"}"#),
        group(r#""targets":["a"],"labels":{"b":"b","a":"b"}"#),
        group(r#""targets":["a"],"labels":{"__address__":"b"}"#),
        group("\"targets\":[\"a\"],\n\"labels\":{}"),
        "[{\"targets\":[\"a\"],\"labels\":{}}]\n".to_owned(),
        "[\n{\"targets\":[\"a\"],\"labels\":{}}\n]".to_owned(),
        "[\n{\"targets\":[\"a\"],\"labels\":{}}, {\"targets\":[\"b\"],\"labels\":{}}\n]\n"
            .to_owned(),
    ] {
        assert!(read(file.as_bytes()).is_err(), "{file}");
    }
    assert!(read(b"[\n{\"targets\":[\"\xff\"],\"labels\":{}}\n]\n").is_err());
}
