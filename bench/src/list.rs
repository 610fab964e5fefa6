//! Lists of targets in the form of either wire, MADS v1. One target is an assignment of its own, as Kuma
//! sends it, in an order that changes from one response to the next.
//!
//! The encoder shares no code with the daemon, and writes 500,000 targets in less than a second.

use std::fmt::Write as _;

/// The type of each resource.
pub const TYPE_URL: &str = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";

/// So many targets are of one service.
const TARGETS_OF_A_SERVICE: usize = 20;

/// One state of a mesh.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// How many targets there are.
    pub targets: usize,
    /// The value of the label `list` of all targets but the first.
    pub number: usize,
    /// The value of the label `list` of the first target.
    pub first: usize,
}

/// What the wire says of one target.
struct Target {
    service: String,
    name: String,
    address: String,
    labels: [(&'static str, String); 10],
}

impl List {
    /// The first state of a mesh.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self { targets, number: 0, first: 0 }
    }

    /// A serialized `DiscoveryResponse`; the version is its nonce too, and decides on the order.
    #[must_use]
    pub fn to_protobuf(&self, version: usize) -> Vec<u8> {
        let version_info = version.to_string();
        let mut response = Vec::with_capacity(self.targets * 384);
        field(1, version_info.as_bytes(), &mut response);
        for index in self.order(version) {
            let mut any = Vec::new();
            field(1, TYPE_URL.as_bytes(), &mut any);
            field(2, &self.assignment(index), &mut any);
            field(2, &any, &mut response);
        }
        field(4, TYPE_URL.as_bytes(), &mut response);
        field(5, version_info.as_bytes(), &mut response);
        response
    }

    /// The body of an answer over HTTP, in the same order.
    #[must_use]
    pub fn to_json(&self, version: usize) -> Vec<u8> {
        let mut body = String::with_capacity(self.targets * 512);
        body.push_str("{\"resources\":[");
        for (place, index) in self.order(version).into_iter().enumerate() {
            if place > 0 {
                body.push(',');
            }
            body.push_str(&self.assignment_json(index));
        }
        // Writing to a String cannot fail.
        let _ = write!(body, "],\"type_url\":\"{TYPE_URL}\",\"version_info\":\"{version}\"}}");
        body.into_bytes()
    }

    fn order(&self, version: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.targets).collect();
        fastrand::Rng::with_seed(version as u64).shuffle(&mut order);
        order
    }

    fn target(&self, index: usize) -> Target {
        let list = if index == 0 { self.first } else { self.number };
        let service = format!("backend-{:05}", index / TARGETS_OF_A_SERVICE);
        Target {
            name: format!("backend-{index:06}"),
            address: format!(
                "10.{}.{}.{}:5670",
                index / 250 / 250,
                index / 250 % 250,
                index % 250 + 1
            ),
            labels: [
                ("env", "prod".to_owned()),
                ("envs", ",prod,".to_owned()),
                ("kuma_io_protocol", "http".to_owned()),
                ("kuma_io_protocols", ",http,".to_owned()),
                ("kuma_io_service", service.clone()),
                ("kuma_io_services", format!(",{service},")),
                ("list", list.to_string()),
                ("lists", format!(",{list},")),
                ("version", "v1".to_owned()),
                ("versions", ",v1,".to_owned()),
            ],
            service,
        }
    }

    /// The serialized assignment of one target.
    #[must_use]
    pub fn assignment(&self, index: usize) -> Vec<u8> {
        let target = self.target(index);
        let mut inner = Vec::new();
        field(1, target.name.as_bytes(), &mut inner);
        field(2, b"http", &mut inner);
        field(3, target.address.as_bytes(), &mut inner);
        field(4, b"/metrics", &mut inner);
        for (name, value) in &target.labels {
            let mut entry = Vec::new();
            field(1, name.as_bytes(), &mut entry);
            field(2, value.as_bytes(), &mut entry);
            field(5, &entry, &mut inner);
        }
        let mut assignment = Vec::new();
        field(2, b"default", &mut assignment);
        field(3, target.service.as_bytes(), &mut assignment);
        field(4, &inner, &mut assignment);
        assignment
    }

    /// The assignment of one target as Kuma's JSON; no value here needs to be escaped.
    #[must_use]
    pub fn assignment_json(&self, index: usize) -> String {
        let target = self.target(index);
        let labels = target.labels.map(|(name, value)| format!("\"{name}\":\"{value}\""));
        format!(
            "{{\"@type\":\"{TYPE_URL}\",\"mesh\":\"default\",\"service\":\"{}\",\"targets\":[{{\"name\":\"{}\",\
             \"scheme\":\"http\",\"address\":\"{}\",\"metrics_path\":\"/metrics\",\"labels\":{{{}}}}}]}}",
            target.service,
            target.name,
            target.address,
            labels.join(",")
        )
    }

    /// Whether a file holds this list: as many groups as there are targets, with these labels. That each
    /// byte is right is for the tests to show.
    #[must_use]
    pub fn is_in(&self, file: &str) -> bool {
        let mut groups = file.lines().filter(|line| line.starts_with('{'));
        let has_number = |line: &str, number| line.contains(&format!("\"list\":\"{number}\""));
        groups.next().is_some_and(|line| has_number(line, self.first))
            && groups.clone().count() == self.targets - 1
            && groups.all(|line| has_number(line, self.number))
    }
}

/// A protobuf field that has a length.
fn field(number: u8, value: &[u8], into: &mut Vec<u8>) {
    into.push(number << 3 | 2);
    let mut length = value.len();
    while length >= 0x80 {
        into.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    into.push(length as u8);
    into.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::Decoder;

    fn file(list: List, version: usize) -> String {
        let snapshot = Decoder::default().decode(list.to_protobuf(version));
        String::from_utf8(snapshot.bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_list_is_what_the_daemon_makes_of_its_bytes() {
        let list = List { targets: 300, number: 7, first: 8 };
        assert!(list.is_in(&file(list, 1)));
        for other in
            [List { number: 6, ..list }, List { first: 7, ..list }, List { targets: 301, ..list }]
        {
            assert!(!other.is_in(&file(list, 1)), "{other:?}");
        }
    }

    #[test]
    fn the_version_changes_the_order_and_not_the_file() {
        let list = List::new(300);
        assert_ne!(list.order(1), list.order(2));
        assert_eq!(file(list, 1), file(list, 2));
    }

    #[test]
    fn both_wires_say_the_same() {
        let list = List::new(300);
        let response = kuma_prometheus_sd::mads::transport::http::decode(list.to_json(1)).unwrap();
        assert_eq!(
            Decoder::default().take(response),
            Decoder::default().decode(list.to_protobuf(1))
        );
    }
}
