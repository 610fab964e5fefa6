//! `kuma-prometheus-sd check`: what it makes of the list and of the output, and of a control plane
//! that does not answer.

use kuma_stand_in::{ApiVersion, ControlPlane, Dataplane, Fault, KumaVersion, Resource};

use crate::support::check::{check, failed, passed};
use crate::support::following::at_once;
use crate::support::foreign_servers::ForeignServer;
use crate::support::harness::{Launch, program};
use crate::support::mesh::{EMPTY, backend};

#[track_caller]
fn expect(told: &str, texts: &[&str]) {
    for text in texts {
        assert!(told.contains(text), "{text:?} is not in: {told}");
    }
}

#[test]
fn skipped_targets_are_counted_and_named_with_the_reason() {
    let lost = Dataplane::new("frontend", "frontend-01", "");
    let plane = ControlPlane::serving(KumaVersion::V2_6, &[backend(0), lost]);
    let count = "a list has come: 2 assignments with 1 target, 1 skipped\n";
    let reason = "skipped 1 target without an address: ";
    let told = passed(&check(&plane.grpc_url()));
    expect(&told, &[count, reason, "frontend"]);
}

#[test]
fn a_list_that_cannot_be_used_fails() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let resources = vec![Resource::Dataplane(backend(0)), Resource::undecodable(ApiVersion::V1)];
    plane.publish_resources(resources);
    let told = failed(&check(&plane.grpc_url()));
    expect(&told, &["the list cannot be used: resource "]);
}

#[test]
fn a_stream_on_which_nothing_comes_passes() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.withdraw();
    let told = passed(&check(&plane.grpc_url()));
    let reason = "no list has come within 10 s; ";
    expect(&told, &["connected to MADS at ", reason, "--name"]);
}

#[test]
fn a_control_plane_without_a_list_fails_over_http() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    plane.withdraw();
    expect(&failed(&check(&plane.grpc_url())), &["status 500: "]);
}

#[test]
fn an_empty_list_passes_with_a_hint() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let text = "the list is empty: either nothing is to be scraped, or no MeshMetric backend has this \
                client name; see --name and the mesh's metrics settings\n";
    expect(&passed(&check(&plane.http_url())), &[text]);
}

#[test]
fn a_server_that_is_away_hangs_up_or_is_silent_fails_by_itself() {
    let hangs_up = ForeignServer::that_hangs_up();
    let silent = ControlPlane::start(KumaVersion::V2_6);
    silent.fault_proxy().set_fault(Fault::Stall);
    let servers = [
        ("127.0.0.1:1".to_owned(), &["refused"][..]),
        (format!("127.0.0.1:{}", hangs_up.port()), &["no connection: "]),
        (format!("127.0.0.1:{}", silent.port()), &["no answer", "did not become ready"]),
        // Where the resolver itself is far away, the limit in time may come first.
        ("cp.invalid".to_owned(), &["resol", "lookup", "no answer", "did not become ready"]),
    ];
    let schemes = ["http", "https", "grpc", "grpcs"];
    let cases =
        schemes.into_iter().flat_map(|scheme| servers.clone().map(|server| (scheme, server)));
    at_once(cases, |(scheme, (address, texts))| {
        let told = failed(&check(&format!("{scheme}://{address}")));
        let lower = told.to_lowercase();
        assert!(texts.iter().any(|text| lower.contains(text)), "{told}");
        assert!(lower.contains(&address), "{told}");
        // Nobody has said whether TLS is spoken there.
        assert!(!lower.contains("tls is spoken"), "{told}");
        // The output is looked at nevertheless.
        let output = "the output kuma.file_sd.json can probably be written";
        assert!(told.contains(output), "{told}");
    });
}

#[test]
fn an_output_that_is_there_stays_as_it_is() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = check(&plane.grpc_url());
    launch.put("kuma.file_sd.json", "what was there");
    launch.put(".kuma.file_sd.json.0123456789abcdef.tmp", "left by a daemon that was killed");
    passed(&launch);
}

#[test]
fn an_output_that_cannot_be_written_fails() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = check(&plane.grpc_url());
    launch.put("file", "");
    let cases =
        [("file/out.json", "file/out.json"), ("file/a/out.json", "file"), ("", "directory")];
    for (output, text) in cases {
        let told = failed(&launch.clone().output(output));
        assert!(told.contains("a list has come: "), "{told}");
        assert!(!told.contains("can probably be written"), "{told}");
        let line = told.lines().rev().nth(1).unwrap_or_default();
        assert!(line.contains(text), "{told}");
    }
}

#[test]
fn an_output_that_a_daemon_writes_is_reported_and_the_daemon_goes_on() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let mut daemon = launch.start();
    daemon.wait_for_file(EMPTY);
    let check = check(&plane.grpc_url()).output(launch.output_path());
    let told = passed(&check);
    let text = format!("is held by a running daemon, process {}\n", daemon.process());
    assert!(told.contains(&text), "{told}");
    assert!(daemon.is_running());
    daemon.terminate();
    let told = passed(&check);
    assert!(told.contains("can probably be written"), "{told}");
}

#[test]
fn a_closed_stdout_leaves_the_exit_code() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let program = program();
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let folder = Launch::bare();
    let status = std::process::Command::new(program)
        .args(["check", "--cp-address", &plane.grpc_url()])
        .env_clear()
        .current_dir(folder.folder())
        .stdout(writer)
        .status()
        .expect("the program can be started");
    assert_eq!(status.code(), Some(0));
}
