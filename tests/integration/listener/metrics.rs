//! What the metrics count, in both formats, and that the guide's table has each of them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use kuma_stand_in::{ApiVersion, ControlPlane, Fault, KumaVersion, Resource};

use crate::support::command::repository;
use crate::support::harness::{Launch, NOTHING_THERE, SOON, wait_until};
use crate::support::listener::{LISTEN, address_of, ask, connect, get};
use crate::support::mesh::{backends, file_v1};
use crate::support::observe::expect_settled;

/// The value of a sample of the daemon's own; `None` where there is no such sample.
fn sample(address: SocketAddr, name: &str) -> Option<f64> {
    let text = get(address, "/metrics").text();
    let start = format!("kuma_prometheus_sd_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&start))?;
    Some(value.parse().unwrap())
}

#[track_caller]
fn wait_for(address: SocketAddr, name: &str, expected: f64) {
    let is_there = || sample(address, name) == Some(expected);
    assert!(wait_until(SOON, is_there), "{name} is {:?}, not {expected}", sample(address, name));
}

#[test]
fn each_metric_counts_what_it_says() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut mesh = backends(3);
    mesh[2].address = String::new();
    plane.publish(&mesh);
    let launch = Launch::follow(&plane.grpc_url()).argument(LISTEN);
    let daemon = launch.start();
    let file = file_v1(&mesh[..2]);
    daemon.wait_for_file(&file);
    let address = address_of(&daemon);
    let rows = [
        ("build_info{version=\"2.0.0\"}", 1.0),
        ("connected", 1.0),
        ("connection_info{transport=\"grpc\",api_version=\"v1\"}", 1.0),
        ("connection_attempts_total{outcome=\"success\"}", 1.0),
        ("connection_attempts_total{outcome=\"failure\"}", 0.0),
        ("next_attempt_seconds", 0.0),
        ("responses_total{outcome=\"accepted\"}", 1.0),
        ("responses_total{outcome=\"rejected\"}", 0.0),
        ("targets", 2.0),
        ("targets_skipped", 1.0),
        ("file_writes_total{outcome=\"success\"}", 1.0),
        ("file_writes_total{outcome=\"failure\"}", 0.0),
        ("file_write_duration_seconds_count", 1.0),
        ("file_size_bytes", file.len() as f64),
    ];
    for (name, expected) in rows {
        wait_for(address, name, expected);
    }
    let start = sample_of_process(address, "process_start_time_seconds");
    for name in ["last_response", "last_change", "last_write"] {
        let time = sample(address, &format!("{name}_timestamp_seconds")).unwrap();
        assert!(time >= start && time < start + SOON.as_secs_f64(), "{name}: {time}");
    }

    plane.publish_resources(vec![Resource::undecodable(ApiVersion::V1)]);
    wait_for(address, "responses_total{outcome=\"rejected\"}", 1.0);
    assert_eq!(sample(address, "targets"), Some(2.0), "the last accepted list stays");

    // A folder in the file's place.
    fs::remove_file(launch.output_path()).unwrap();
    fs::create_dir(launch.output_path()).unwrap();
    plane.publish(&backends(5));
    wait_for(address, "targets", 5.0);
    let failures = "file_writes_total{outcome=\"failure\"}";
    assert!(wait_until(SOON, || sample(address, failures) > Some(0.0)));

    plane.go_away();
    wait_for(address, "connected", 0.0);
    let failures = "connection_attempts_total{outcome=\"failure\"}";
    assert!(wait_until(SOON, || sample(address, failures) > Some(0.0)));
    assert!(wait_until(SOON, || sample(address, "next_attempt_seconds") > Some(0.0)));
    assert!(!get(address, "/metrics").text().contains("connection_info{"));
}

#[test]
fn a_connection_that_is_given_up_by_sighup_is_none_until_there_is_another() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(1));
    let mut daemon = Launch::follow(&plane.grpc_url()).argument(LISTEN).start();
    daemon.wait_for_file(&file_v1(&backends(1)));
    let address = address_of(&daemon);
    wait_for(address, "connected", 1.0);
    plane.fault_proxy().set_fault(Fault::Stall);
    daemon.signal("HUP");
    wait_for(address, "connected", 0.0);
    assert_eq!(sample(address, "next_attempt_seconds"), Some(0.0));
    assert!(!get(address, "/").text().contains("Connected<dd>since"));
    wait_for(address, "connection_attempts_total{outcome=\"failure\"}", 1.0);
}

fn sample_of_process(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}")).trim().parse().unwrap()
}

#[test]
fn what_is_not_known_yet_has_no_sample() {
    let daemon = Launch::follow(NOTHING_THERE).argument(LISTEN).start();
    daemon.wait_for_trouble();
    let address = address_of(&daemon);
    wait_for(address, "connected", 0.0);
    for name in ["targets", "file_size_bytes", "last_response_timestamp_seconds"] {
        assert_eq!(sample(address, name), None, "{name}");
    }
}

#[test]
fn a_process_is_told_as_by_every_exporter() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url()).argument(LISTEN);
    let daemon = launch.start();
    let address = address_of(&daemon);
    // From then on it waits, so that both looks find the same.
    expect_settled(&plane);
    let resident = sample_of_process(address, "process_resident_memory_bytes ");
    let figures = daemon.figures();
    let kib = figures.resident_kib as f64;
    assert!((resident / 1024.0 - kib).abs() < kib / 2.0, "{resident} and {kib} KiB");
    let files = sample_of_process(address, "process_open_fds ");
    assert!((files - figures.descriptors as f64).abs() <= 3.0, "{files} and {figures:?}");
    assert!(sample_of_process(address, "process_max_fds ") >= files);
    assert!(sample_of_process(address, "process_cpu_seconds_total ") > 0.0);
    assert!(sample_of_process(address, "process_virtual_memory_bytes ") >= resident);
}

/// The name, the type and the meaning of each metric that a text has.
fn families(text: &str) -> BTreeMap<String, (String, String)> {
    let mut families: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.splitn(4, ' ').collect();
        match parts[..] {
            ["#", "HELP", name, help] => {
                families.entry(name.to_owned()).or_default().1 = help.to_owned();
            }
            ["#", "TYPE", name, kind] => {
                families.entry(name.to_owned()).or_default().0 = kind.to_owned();
            }
            _ => {}
        }
    }
    families
}

#[test]
fn the_guide_has_each_metric() {
    let guide = fs::read_to_string(repository().join("docs/operators-guide.md")).unwrap();
    let rows = guide.lines().skip_while(|line| !line.starts_with("| metric |")).skip(2);
    let documented: BTreeMap<String, (String, String)> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let columns: Vec<&str> = row.split('|').map(str::trim).collect();
            (
                columns[1].trim_matches('`').to_owned(),
                (columns[2].to_owned(), columns[3].to_owned()),
            )
        })
        .collect();
    let daemon = Launch::follow(NOTHING_THERE).argument(LISTEN).start();
    let served = families(&get(address_of(&daemon), "/metrics").text());
    assert_eq!(documented, served);
}

#[test]
fn both_formats_say_the_same() {
    let daemon = Launch::follow(NOTHING_THERE).argument(LISTEN).start();
    let address = address_of(&daemon);
    let request =
        "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n";
    let answer = ask(connect(address), request);
    assert!(answer.has("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let openmetrics = answer.text();
    assert!(openmetrics.ends_with("\n# EOF\n"), "{openmetrics}");
    let expected: BTreeMap<_, _> = families(&openmetrics)
        .into_iter()
        .map(|(name, (kind, help))| match kind.as_str() {
            "counter" => (format!("{name}_total"), (kind, help)),
            "info" => (format!("{name}_info"), ("gauge".to_owned(), help)),
            _ => (name, (kind, help)),
        })
        .collect();
    let prometheus = get(address, "/metrics").text();
    assert_eq!(families(&prometheus), expected);
    let names = |text: &str| -> Vec<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&prometheus), names(&openmetrics));
}
