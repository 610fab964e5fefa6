//! `--log-format=json`: one JSON object a line, whatever the message is, with the fields that the
//! message is made of. The names of the fields are those of the guide.

use kuma_stand_in::{ControlPlane, KumaVersion, free_port};
use serde_json::{Map, Value, json};

use crate::process::life_with;
use crate::process::service_manager::AS_IN_THE_JOURNAL;
use crate::repository::fields::names_in_the_guide;
use crate::support::harness::{Finished, Launch, NOTHING_THERE};
use crate::support::mesh::backends;

type Object = Map<String, Value>;

fn follow(address: &str) -> Launch {
    Launch::follow(address).argument("--log-format=json")
}

/// The lines of a log, each with the three fields that all have, and others of the guide's only.
#[track_caller]
fn objects(log: &str) -> Vec<Object> {
    let known = names_in_the_guide();
    let parse = |line: &str| {
        let object: Object = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let time = object["time"].as_str().unwrap();
        // Such as 2026-11-26T03:08:20.858Z.
        assert!(time.len() == 24 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
        let level = object["level"].as_str().unwrap();
        assert!(["error", "warn", "info", "debug"].contains(&level), "{level}");
        assert!(object["message"].is_string(), "{line}");
        let strange = object.keys().find(|name| !known.contains(*name));
        assert_eq!(strange, None, "{line}");
        object
    };
    log.lines().map(parse).collect()
}

/// The first line with these words in its message.
#[track_caller]
fn with<'a>(objects: &'a [Object], words: &str) -> &'a Object {
    let has = |object: &&Object| object["message"].as_str().unwrap().contains(words);
    objects.iter().find(has).unwrap_or_else(|| panic!("{words}: {objects:#?}"))
}

#[track_caller]
fn assert_fields(object: &Object, expected: &[(&str, Value)]) {
    let fields =
        object.iter().filter(|(name, _)| !["time", "level", "message"].contains(&name.as_str()));
    let expected: Object =
        expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let fields: Object = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    assert_eq!(fields, expected, "{}", object["message"]);
}

fn life(plane: &ControlPlane, launch: &Launch) -> Finished {
    plane.publish(&backends(3));
    let daemon = launch.start();
    daemon.wait_for_log("3 added");
    plane.publish(&backends(1));
    daemon.wait_for_log("2 removed");
    daemon.terminate()
}

#[test]
fn each_line_has_the_words_of_the_text_and_what_they_are_made_of() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = follow(&plane.grpc_url()).argument("--log-level=info");
    let objects = objects(&life(&plane, &launch).stderr);
    std::fs::remove_file(launch.output_path()).unwrap();
    let text =
        life(&plane, &launch.clone().arguments(["--log-format=text", "--log-timestamps=false"]));
    let as_text = |object: &Object| {
        let level = object["level"].as_str().unwrap().to_uppercase();
        format!("[{level:<5}] {}", object["message"].as_str().unwrap())
    };
    let lines: Vec<String> = objects.iter().map(as_text).collect();
    assert_eq!(lines, text.stderr.lines().collect::<Vec<_>>());

    let (path, authority) = (launch.output_path().to_str().unwrap(), plane.port());
    let authority = format!("127.0.0.1:{authority}");
    assert_fields(
        &objects[0],
        &[
            ("program_version", json!(env!("CARGO_PKG_VERSION"))),
            ("control_plane", json!(plane.grpc_url())),
            ("client_name", json!("kuma_sd")),
            ("path", json!(path)),
        ],
    );
    let connected = with(&objects, "connected to MADS");
    assert_fields(connected, &[("mads", json!(authority)), ("protocol", json!("gRPC v1"))]);
    let counts = [("targets", 1), ("added", 0), ("removed", 2), ("changed", 0), ("suppressed", 0)];
    let counts = counts.map(|(name, count)| (name, json!(count)));
    let written = with(&objects, "wrote 1 target");
    assert_fields(written, &[&counts[..], &[("path", json!(path))]].concat());
    assert_fields(with(&objects, "stopping"), &[]);
}

#[test]
fn an_outage_has_its_error_and_the_seconds_until_the_next_attempt() {
    let address = format!("http://127.0.0.1:{}", free_port().unwrap());
    let daemon = follow(&address).argument("--log-level=info").start();
    daemon.wait_for_log("no connection to the control plane");
    let objects = objects(&daemon.terminate().stderr);
    let outage = with(&objects, "no connection to the control plane");
    assert_eq!(outage["level"], "warn");
    let error = outage["error"].as_str().unwrap();
    assert!(error.starts_with("GET http://") && error.contains("refused"), "{error}");
    assert!(outage["message"].as_str().unwrap().contains(error));
    let pause = outage["retry_in_seconds"].as_f64().unwrap();
    assert!((0.2..=2.0).contains(&pause), "{pause}");
}

#[test]
fn what_comes_from_the_network_breaks_no_line() {
    let evil = "evil\u{1b}[2J\u{7}\n{\"level\":\"forged\"}\r\u{9b}31m\"}";
    let log = life_with(evil, follow).stderr;
    assert!(!log.chars().any(|c| c != '\n' && c.is_control()), "{log:?}");
    let objects = objects(&log);
    let received = with(&objects, "received version");
    for name in ["version", "nonce"] {
        let text = received[name].as_str().unwrap();
        assert!(text.starts_with("evil\\u{1b}[2J"), "{text}");
    }
    assert_eq!(with(&objects, "skipped 1 target")["skipped"], 1);
    with(&objects, "rejected a response")["error"].as_str().unwrap();
}

#[test]
fn the_last_words_of_a_failure_are_an_object_too() {
    let cases = [
        (&["run", "--output-file=/proc/no-such/x.json"][..], 1, "cannot make the directory "),
        (&["run", "--output-file=/dev/null"], 2, "the output /dev/null is "),
        (&["run", "--once", "--cp-address=grpc://127.0.0.1:1"], 1, "no connection: "),
    ];
    for (arguments, code, words) in cases {
        let launch = Launch::bare().arguments(arguments.iter().copied());
        let launch = launch.variable("KUMA_PROMETHEUS_SD_LOG_FORMAT", "json");
        let finished = launch.run_to_its_end();
        assert_eq!(finished.code, Some(code), "{}", finished.stderr);
        let objects = objects(&finished.stderr);
        let last = objects.last().unwrap();
        assert_eq!(last["level"], "error");
        assert!(last["message"].as_str().unwrap().starts_with(words), "{last:?}");
    }
}

#[test]
fn the_journal_is_given_the_priority_before_the_object() {
    let launch =
        follow(NOTHING_THERE).arguments(["--once", "--log-level=info"]).prelude(AS_IN_THE_JOURNAL);
    let log = launch.run_to_its_end().stderr;
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("<6>{") && lines[1].starts_with("<3>{"), "{log}");
    let without: Vec<&str> = lines.iter().map(|line| &line[3..]).collect();
    objects(&without.join("\n"));
}
