//! What the log says, and what it does not say: one event a line, a handful of lines in a normal
//! life, nothing of what libraries have to tell, nothing that reaches a terminal's controls.

use kuma_stand_in::{ApiVersion, ControlPlane, KumaVersion, free_port};

use crate::process::life_with;
use crate::support::harness::{Finished, Launch};
use crate::support::mesh::{EMPTY, backends};

/// The lines of a log without their time, `LEVEL] message`.
fn messages(finished: &Finished) -> Vec<&str> {
    let message = |line: &'_ str| line.find("Z ").map(|end| end + 2);
    finished
        .stderr
        .lines()
        .map(|line| &line[message(line).unwrap_or_else(|| panic!("no time: {line}"))..])
        .collect()
}

fn follow_at(level: &str, address: &str) -> Launch {
    Launch::follow(address).argument(format!("--log-level={level}"))
}

#[test]
fn a_normal_life_is_a_handful_of_lines() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(3));
    let launch = follow_at("info", &plane.grpc_url());
    let daemon = launch.start();
    daemon.wait_for_log("3 added");
    plane.publish(&backends(1));
    daemon.wait_for_log("2 removed");
    let mut retagged = backends(2);
    retagged[0] = retagged[0].clone().tag("env", "staging");
    plane.publish(&retagged);
    daemon.wait_for_log("1 changed");
    let finished = daemon.terminate();

    let authority = format!("127.0.0.1:{}", plane.port());
    let path = launch.output_path().display();
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        format!(
            "INFO ] kuma-prometheus-sd {version} follows grpc://{authority} as \"kuma_sd\" \
             and writes {path}"
        ),
        format!("INFO ] connected to MADS at {authority} over gRPC v1"),
        format!("INFO ] {path}: wrote 3 targets: 3 added, 0 removed, 0 changed"),
        format!("INFO ] {path}: wrote 1 target: 0 added, 2 removed, 0 changed"),
        format!("INFO ] {path}: wrote 2 targets: 1 added, 0 removed, 1 changed"),
        "INFO ] stopping, as asked by a signal".to_owned(),
    ];
    assert_eq!(messages(&finished), expected);
    assert_eq!(finished.stdout, "");
}

#[test]
fn a_control_plane_that_is_away_is_one_line_and_nothing_of_libraries() {
    let nobody = free_port().unwrap();
    for address in [
        &format!("grpc://127.0.0.1:{nobody}"),
        &format!("http://127.0.0.1:{nobody}"),
        "grpc://does-not-resolve.invalid",
    ] {
        for level in ["info", "debug"] {
            let daemon = follow_at(level, address).start();
            daemon.wait_for_log("next attempt in");
            let finished = daemon.terminate();
            let ours = |line: &&str| {
                [
                    "INFO ] kuma-prometheus-sd ",
                    "INFO ] stopping, ",
                    "WARN ] no connection to the control plane: ",
                    "DEBUG] asking for MADS at ",
                    "DEBUG] GET http://",
                    "DEBUG] no connection to the control plane: ",
                ]
                .iter()
                .any(|start| line.starts_with(start))
            };
            let lines = messages(&finished);
            let strange: Vec<_> = lines.iter().filter(|line| !ours(line)).collect();
            assert!(strange.is_empty(), "{address}, {level}: {strange:#?}");
            if level == "info" {
                assert_eq!(lines.len(), 3, "{lines:#?}");
            }
        }
    }
}

#[test]
fn at_debug_each_answer_and_each_acknowledgement_is_told() {
    for kuma in [KumaVersion::V2_6, KumaVersion::V2_12] {
        let plane = ControlPlane::start(kuma);
        let daemon = follow_at("debug", &plane.grpc_url()).start();
        daemon.wait_for_log("accepted version");
        plane.publish(&backends(2));
        let version = plane.version(ApiVersion::V1).expect("one was published");
        let line = daemon.wait_for_log(&format!("DEBUG] received version {version:?}"));
        assert!(line.ends_with(", 2 resources"), "{line}");
        daemon.wait_for_log(&format!(
            "DEBUG] accepted version {version:?}: 2 assignments, 2 targets"
        ));
        daemon.wait_for_log(": added backend-00000 (10.0.0.1:5670), backend-00001 (");
    }
}

#[test]
fn a_level_shows_what_is_as_grave_and_nothing_else() {
    for (level, expected) in [("off", 0), ("error", 0), ("warn", 1)] {
        let plane = ControlPlane::start(KumaVersion::V2_6);
        let mut homeless = backends(1);
        homeless[0].address.clear();
        plane.publish(&homeless);
        let daemon = follow_at(level, &plane.grpc_url()).start();
        daemon.wait_for_file(EMPTY);
        let finished = daemon.terminate();
        assert_eq!(finished.stderr.lines().count(), expected, "{}", finished.stderr);
    }
}

#[test]
fn what_comes_from_the_network_reaches_no_terminal_as_it_is() {
    let evil = "evil\u{1b}[2J\u{7}\nINFO ] forged\r\u{9b}31m";
    let finished = life_with(evil, |address| follow_at("debug", address));
    assert!(finished.stderr.contains("evil"));
    assert!(messages(&finished).iter().all(|line| !line.starts_with("INFO ] forged")));
    let is_harmless = |character: char| character == '\n' || !character.is_control();
    assert!(finished.stderr.chars().all(is_harmless), "{:?}", finished.stderr);
}
