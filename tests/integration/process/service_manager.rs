//! What a service manager is told, and the log as the journal wants it.

use kuma_stand_in::{ApiVersion, ControlPlane, KumaVersion, Resource};

use crate::support::harness::{Launch, NOTHING_THERE, on_its_port};
use crate::support::mesh::{EMPTY, backends, file_v1};
use crate::support::notify::Manager;

#[test]
fn it_is_ready_after_the_start_up_checks_also_without_a_control_plane() {
    let manager = Manager::listen();
    let daemon = manager.manage(Launch::follow(NOTHING_THERE)).start();
    assert_eq!(manager.expect("READY=1"), ["READY=1"]);
    let told = manager.expect("STATUS=");
    assert_eq!(told, [format!("STATUS=no list yet from {NOTHING_THERE}")]);
    daemon.terminate();
    let told = manager.expect("STOPPING=1");
    assert_eq!(told.last().map(String::as_str), Some("STOPPING=1"));
}

#[test]
fn a_daemon_that_cannot_start_is_never_ready() {
    let manager = Manager::listen();
    let launch = manager.manage(Launch::follow(NOTHING_THERE)).output("/");
    assert_eq!(launch.run_to_its_end().code, Some(2));
    assert_eq!(manager.rest(), [""; 0]);
}

#[test]
fn the_status_says_how_many_targets_there_are_from_where_and_since_when() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(2));
    let manager = Manager::listen();
    let launch = manager.manage(Launch::follow(&plane.grpc_url()));
    let daemon = launch.start();
    let source = format!("from grpc://127.0.0.1:{} (v1)", plane.port());
    let changed = format!("STATUS=2 targets {source}, changed ");
    let told = manager.expect(&changed);
    let status = told.last().unwrap();
    assert!(is_time(&status[changed.len()..]), "{status}");

    plane.go_away();
    let told = manager.expect(&changed);
    let status = told.last().unwrap();
    assert!(status.contains("; no connection since "), "{status}");

    on_its_port(|| plane.come_back());
    plane.publish(&backends(1));
    manager.expect(&format!("STATUS=1 target {source}, changed "));
    daemon.terminate();

    // Another daemon finds the file as it is to be.
    let daemon = launch.start();
    manager.expect(&format!("STATUS=1 target {source}, unchanged since "));
    daemon.terminate();
}

/// Such as `12:03:11 UTC on 2026-11-24`.
fn is_time(text: &str) -> bool {
    let shape: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    shape == "00:00:00 UTC on 0000-00-00"
}

#[test]
fn the_status_tells_of_rejected_responses_until_one_is_accepted() {
    let api_version = ApiVersion::V1;
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish_raw(
        api_version,
        api_version.type_url(),
        vec![Resource::undecodable(api_version)],
    );
    let manager = Manager::listen();
    let daemon = manager.manage(Launch::follow(&plane.grpc_url())).start();
    let address = format!("grpc://127.0.0.1:{} (v1)", plane.port());
    manager.expect(&format!("STATUS=no list yet from {address}; responses are rejected since "));
    plane.publish(&backends(1));
    let told = manager.expect(&format!("STATUS=1 target from {address}, changed "));
    let status = told.last().expect("what was expected");
    assert!(!status.contains("rejected"), "{status}");
    daemon.terminate();
}

#[test]
fn the_status_over_http_names_http() {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &backends(1));
    let manager = Manager::listen();
    let daemon = manager.manage(Launch::follow(&plane.http_url())).start();
    manager.expect(&format!("STATUS=1 target from http://127.0.0.1:{} (v1)", plane.port()));
    daemon.terminate();
}

#[test]
fn a_watchdog_hears_that_it_lives() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let manager = Manager::listen();
    let launch = manager.manage(Launch::follow(&plane.grpc_url()));
    let daemon = launch.variable("WATCHDOG_USEC", "400000").start();
    for _ in 0..5 {
        manager.expect("WATCHDOG=1");
    }
    daemon.terminate();
}

#[test]
fn a_watchdog_for_another_process_hears_nothing() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let manager = Manager::listen();
    let launch = manager
        .manage(Launch::follow(&plane.grpc_url()))
        .variable("WATCHDOG_USEC", "1000")
        .variable("WATCHDOG_PID", "1");
    let daemon = launch.start();
    // Hundreds of pings would have come by then.
    daemon.wait_for_file(EMPTY);
    daemon.terminate();
    let told = manager.expect("STOPPING=1");
    assert!(!told.contains(&"WATCHDOG=1".to_owned()), "{told:?}");
}

#[test]
fn a_manager_may_listen_at_an_abstract_name() {
    let manager = Manager::listen_at_abstract_name();
    let daemon = manager.manage(Launch::follow(NOTHING_THERE)).start();
    manager.expect("READY=1");
    daemon.terminate();
}

#[test]
fn a_manager_that_cannot_be_told_is_worth_one_warning() {
    for address in ["/nobody/listens", "relative", "vsock:2:1"] {
        let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(1));
        let launch = Launch::follow(&plane.grpc_url()).variable("NOTIFY_SOCKET", address);
        let daemon = launch.start();
        daemon.wait_for_file(&file_v1(&backends(1)));
        let finished = daemon.terminate();
        let text = "WARN ] cannot tell the service manager at $NOTIFY_SOCKET ";
        assert_eq!(finished.stderr.matches(text).count(), 1, "{}", finished.stderr);
    }
}

#[test]
fn a_manager_that_is_busy_is_told_when_it_listens_again() {
    let manager = Manager::listen();
    manager.overwhelm();
    let daemon = manager.manage(Launch::follow(NOTHING_THERE)).start();
    daemon.wait_for_log("cannot tell the service manager at $NOTIFY_SOCKET ");
    daemon.wait_for_trouble();
    // In whichever order: a change of the status may be told between two attempts to tell both.
    let mut told = manager.expect("READY=1");
    let is_newest = |message: &String| message.contains("; no connection since ");
    while !told.iter().any(is_newest) {
        told.extend(manager.expect("STATUS="));
    }
    daemon.terminate();
}

/// Sets the variable as systemd does where stderr goes to the journal.
pub(crate) const AS_IN_THE_JOURNAL: &str =
    "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM";

#[test]
fn the_journal_gets_priorities_and_no_times() {
    let launch = Launch::follow(NOTHING_THERE).prelude(AS_IN_THE_JOURNAL);
    let daemon = launch.argument("--log-level=info").start();
    daemon.wait_for_log("<6>kuma-prometheus-sd ");
    daemon.wait_for_log("<4>no connection to the control plane: ");
    let finished = daemon.terminate();
    let has_priority = |line: &str| line.starts_with("<4>") || line.starts_with("<6>");
    assert!(finished.stderr.lines().all(has_priority), "{}", finished.stderr);
}

#[test]
fn the_journal_gets_the_priority_of_a_last_word_too() {
    let launch = Launch::bare().argument("rnu").prelude(AS_IN_THE_JOURNAL);
    let finished = launch.run_to_its_end();
    let expected = "<3>unknown subcommand \"rnu\"; did you mean \"run\"?\n";
    assert_eq!(finished.stderr, expected);
}

#[test]
fn a_stream_that_is_not_the_journals_gets_times() {
    let launch = Launch::follow(NOTHING_THERE).variable("JOURNAL_STREAM", "8:1");
    let daemon = launch.start();
    let line = daemon.wait_for_log(" follows ");
    assert!(line.starts_with("[20"), "{line}");
    daemon.terminate();
}

#[test]
fn times_can_be_had_or_left_out_whoever_reads() {
    let launch = Launch::follow(NOTHING_THERE).argument("--log-timestamps=false");
    let daemon = launch.start();
    let line = daemon.wait_for_log(" follows ");
    assert!(line.starts_with("[INFO ] "), "{line}");
    daemon.terminate();

    let launch = Launch::follow(NOTHING_THERE).prelude(AS_IN_THE_JOURNAL);
    let daemon = launch.argument("--log-timestamps=true").start();
    let line = daemon.wait_for_log(" follows ");
    assert!(line.starts_with("[20"), "{line}");
    daemon.terminate();
}
