//! `run --once`: the first list is written or printed, and it ends; or it ends with the reason, at the
//! first error. It never waits for a change, nor for an error to pass.

use std::fs::{self, File};
use std::io::{Read, pipe};
use std::os::unix::fs::MetadataExt;
use std::process::{Output, Stdio};
use std::time::Instant;

use kuma_stand_in::{
    Answers, ApiVersion, Authority, ControlPlane, Dataplane, Fault, HttpAnswer, KumaVersion,
    Resource, free_port,
};

use crate::support::files::names;
use crate::support::following::at_once;
use crate::support::foreign_servers::ForeignServer;
use crate::support::harness::{Finished, Launch, SOON, STOP_LIMIT};
use crate::support::lists;
use crate::support::mesh::{EMPTY, backend, backends, file, file_v1};
use crate::support::own_process;
use crate::support::secure;

/// Longer than a test waits for anything: who waits for this timeout fails.
const NEVER: &str = "--timeout=1h";

fn once(address: &str) -> Launch {
    Launch::follow(address).argument("--log-level=info").argument("--once").argument(NEVER)
}

#[track_caller]
fn succeeds(launch: &Launch) -> Finished {
    let finished = launch.run_to_its_end();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    finished
}

/// Ends with 1, and tells the reason in its last line and nowhere else.
#[track_caller]
fn fails(launch: &Launch, reason: &str) -> Finished {
    let finished = launch.run_to_its_end();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
    let last = finished.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("kuma-prometheus-sd: "), "{last}");
    assert!(last.contains(reason), "{reason}: {last}");
    assert_eq!(finished.stderr.matches(reason).count(), 1, "{}", finished.stderr);
    assert!(!finished.stderr.contains("next attempt"), "{}", finished.stderr);
    finished
}

/// What is in its folder, but for the lock.
fn files(launch: &Launch) -> Vec<String> {
    let mut names = names(launch.folder());
    names.retain(|name| !name.ends_with(".lock"));
    names
}

#[test]
fn the_first_list_is_written() {
    at_once([KumaVersion::V0_7, KumaVersion::V2_6, KumaVersion::V2_12], |kuma| {
        let plane = ControlPlane::serving(kuma, &backends(3));
        let launch = once(&format!("http://{}", plane.api().address()));
        let finished = succeeds(&launch);
        let api_version = match kuma {
            KumaVersion::V0_7 => ApiVersion::V1Alpha1,
            _ => ApiVersion::V1,
        };
        let written = fs::read_to_string(launch.output_path()).unwrap();
        assert_eq!(written, file(api_version, &backends(3)));
        assert_eq!(files(&launch), ["kuma.file_sd.json"]);
        assert_eq!(finished.stdout, "");
        let text = "wrote 3 targets: 3 added";
        finished.told(text);
    });
}

#[test]
fn over_grpc_a_newer_list_takes_the_place_of_the_first() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.set_answers(Answers::Scripted);
    let launch = once(&plane.grpc_url());
    let process = launch.start();
    plane.events().expect_request(SOON);
    for count in [1, 2] {
        let list = backends(count).into_iter().map(Resource::Dataplane).collect();
        let version = count.to_string();
        plane.respond(&version, &version, ApiVersion::V1.type_url(), list);
        if count == 1 {
            plane.events().expect_ack(SOON);
            assert_eq!(process.file(), None, "the first may be an old one");
        }
    }
    let finished = process.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(fs::read_to_string(launch.output_path()).unwrap(), file_v1(&backends(2)));
    finished.told("wrote 2 targets: 2 added");
}

#[test]
fn the_first_list_is_printed_and_nothing_else_goes_to_stdout() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    for mesh in [backends(0), backends(3)] {
        plane.publish(&mesh);
        let launch =
            once(&plane.grpc_url()).argument("--output-file=-").argument("--log-level=debug");
        let finished = succeeds(&launch);
        assert_eq!(finished.stdout, file_v1(&mesh));
        finished.told("stdout: wrote ");
        assert_eq!(files(&launch), Vec::<String>::new());
    }
}

#[test]
fn it_ends_where_the_file_is_right_already() {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &backends(3));
    let launch = once(&plane.grpc_url());
    succeeds(&launch);
    let before = fs::metadata(launch.output_path()).unwrap();
    let finished = succeeds(&launch);
    finished.told("already holds 3 targets");
    let after = fs::metadata(launch.output_path()).unwrap();
    assert_eq!(after.ino(), before.ino(), "it is not written again");
}

#[test]
fn it_ends_where_the_control_plane_has_nothing_new() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.withdraw();
    let silent = once(&plane.grpc_url());
    let unchanging = ControlPlane::start(KumaVersion::V2_12);
    for _ in 0..20 {
        unchanging.answer_http(HttpAnswer::with_body(304, kuma_stand_in::Body::Full(Vec::new())));
    }
    let polled = once(&unchanging.http_url());
    at_once([silent, polled], |launch| {
        let launch = launch.argument("--timeout=6s");
        launch.put("kuma.file_sd.json", "old");
        let reason = "no list has come within 6.0 s; with named MeshMetric backends";
        let finished = fails(&launch, reason);
        finished.told("see --name");
        assert_eq!(fs::read(launch.output_path()).unwrap(), b"old");
    });
}

#[test]
fn it_ends_at_the_first_error() {
    let away = free_port().unwrap();
    let hangs_up = ForeignServer::that_hangs_up();
    let mail = ForeignServer::that_says(b"220 mail.example ESMTP\r\n");
    let refuses = ControlPlane::start(KumaVersion::V2_12);
    refuses.answer_http(HttpAnswer::error(401, "No", "token"));
    let authority = Authority::new("an authority");
    let secure_plane = secure::plane(&secure::server_of(&authority));
    let page = ForeignServer::that_says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    );
    let http = |port: u16| format!("http://127.0.0.1:{port}");
    let cases = [
        (http(away), "Connection refused"),
        (format!("grpc://127.0.0.1:{away}"), "Connection refused"),
        ("grpc://does-not-resolve.invalid".to_owned(), "DNS resolution failed"),
        (http(hangs_up.port()), "no connection: "),
        (http(mail.port()), "no connection: "),
        (refuses.http_url(), "status 401: "),
        (http(page.port()), "no connection: "),
        (secure::grpcs_url(&secure_plane), "unknown issuer"),
    ];
    at_once(cases, |(address, reason)| {
        let launch = once(&address);
        launch.put("kuma.file_sd.json", "old");
        fails(&launch, reason);
        assert_eq!(fs::read(launch.output_path()).unwrap(), b"old");
    });
}

#[test]
fn a_list_that_cannot_be_used_is_an_error_and_a_skipped_target_is_a_warning() {
    let v1 = ApiVersion::V1;
    for kuma in [KumaVersion::V2_6, KumaVersion::V2_12] {
        let plane = ControlPlane::start(kuma);
        let resources = vec![Resource::Dataplane(backend(0)), Resource::undecodable(v1)];
        plane.publish_raw(v1, v1.type_url(), resources);
        let launch = once(&plane.grpc_url());
        fails(&launch, "the list cannot be used: resource ");
        assert_eq!(files(&launch), Vec::<String>::new());

        plane.publish(&[backend(0), Dataplane::new("frontend", "frontend-01", "")]);
        let finished = succeeds(&launch);
        let warning = "WARN ] skipped 1 target without an address: ";
        finished.told(warning);
        assert_eq!(fs::read_to_string(launch.output_path()).unwrap(), file_v1(&backends(1)));
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let launch = once(&plane.grpc_url());
    let folder = "/proc/no-such/kuma.file_sd.json";
    fails(&launch.clone().output(folder), "cannot make the directory /proc/no-such: No such file");

    let daemon = Launch::follow(&plane.grpc_url()).output(launch.output_path());
    let daemon = daemon.start();
    daemon.wait_for_file(EMPTY);
    fails(&launch, "another kuma-prometheus-sd writes this output (process ");
    daemon.terminate();
    succeeds(&launch);
}

#[test]
fn a_full_disk_is_an_error_unless_the_file_is_right_already() {
    let test = a_full_disk_is_an_error_unless_the_file_is_right_already;
    let Some(disk) = own_process::with_disk("1m,nr_inodes=6", test) else {
        return;
    };
    let plane = ControlPlane::serving(KumaVersion::V2_12, &backends(1));
    let launch = once(&plane.grpc_url()).output(disk.join("kuma.file_sd.json"));
    succeeds(&launch);
    for number in 0..6 {
        let _ = File::create(disk.join(number.to_string()));
    }
    succeeds(&launch);
    plane.publish(&backends(2));
    fails(&launch, "No space left on device");
    assert_eq!(fs::read_to_string(launch.output_path()).unwrap(), file_v1(&backends(1)));
}

/// Runs it with another stdout.
fn printed_to(launch: &Launch, stdout: impl Into<Stdio>) -> Output {
    let mut command = launch.command();
    command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_stdout_that_cannot_be_written_is_an_error() {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &lists::list(1, 1000));
    let launch = once(&plane.grpc_url()).argument("--output-file=-");
    let closed = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for (stdout, reason) in [(closed(), "Broken pipe"), (full(), "No space left on device")] {
        let output = printed_to(&launch, stdout);
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8(output.stderr).unwrap();
        let last = log.lines().last().unwrap();
        let expected = format!("kuma-prometheus-sd: cannot write to stdout: {reason} (os error ");
        assert!(last.starts_with(&expected), "{log}");
        assert!(!log.contains("wrote"), "{log}");
    }
}

#[test]
fn a_stdout_that_is_not_read_is_waited_for_until_the_timeout() {
    let plane = ControlPlane::serving(KumaVersion::V2_12, &lists::list(1, 2000));
    let launch = once(&plane.grpc_url()).argument("--output-file=-").argument("--timeout=6s");
    let (mut reader, writer) = pipe().unwrap();
    let output = printed_to(&launch, writer);
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.ends_with(
            "writing to stdout takes longer than 6.0 s: its file system hangs, or nobody reads it\n"
        ),
        "{log}"
    );
    let mut printed = Vec::new();
    reader.read_to_end(&mut printed).unwrap();
    assert!(!printed.is_empty() && printed.len() < lists::file(1, 2000).len());
}

#[test]
fn a_server_that_says_nothing_is_waited_for_until_the_timeout_or_a_signal() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.fault_proxy().set_fault(Fault::Stall);
    let launch = once(&plane.grpc_url());
    let timeout = launch.clone().argument("--timeout=500ms");
    let reason = format!("MADS at 127.0.0.1:{}: no answer within 0.5 s", plane.port());
    fails(&timeout, &reason);

    at_once(["TERM", "INT", "HUP"], |signal| {
        let launch = launch.clone().argument("--log-level=debug").output(signal);
        let mut process = launch.start();
        process.wait_for_log("asking for MADS at ");
        process.signal("USR1");
        process.wait_for_log("ignored SIGUSR1");
        process.signal(signal);
        let sent = Instant::now();
        let finished = process.finish();
        assert!(sent.elapsed() < STOP_LIMIT);
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        let reason = format!("ended by SIG{signal} before the list was written\n");
        assert!(finished.stderr.ends_with(&reason), "{}", finished.stderr);
    });
}
