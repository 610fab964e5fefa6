//! Warnings at the start, and by `check`: settings that have no effect, or none yet.

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::check::{check, passed};
use crate::support::harness::Launch;
use crate::support::mesh::EMPTY;

const NO_FILE: &str = "cannot read missing.pem: No such file or directory";

#[test]
fn files_for_tls_that_cannot_be_read_are_warned_of_with_plaintext_too() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    for flags in [
        &["--ca-cert-file=missing.pem"][..],
        &["--client-cert-file=missing.pem", "--client-key-file=key.pem"],
    ] {
        let launch = Launch::follow(&plane.grpc_url()).arguments(flags.iter().copied());
        let daemon = launch.start();
        daemon.wait_for_warning(NO_FILE);
        daemon.wait_for_file(EMPTY);
        daemon.terminate();

        let told = passed(&check(&plane.grpc_url()).arguments(flags.iter().copied()));
        assert!(told.contains(NO_FILE), "{told}");
    }
}

#[test]
fn a_file_for_tls_that_cannot_be_read_to_its_end_holds_up_neither() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch =
        Launch::follow(&plane.grpc_url()).argument("--ca-cert-file=fifo").prelude("mkfifo fifo");
    let daemon = launch.start();
    daemon.wait_for_file(EMPTY);
    daemon.terminate();
    let output = check(&plane.grpc_url())
        .argument("--ca-cert-file=fifo")
        .prelude("mkfifo fifo")
        .run_to_its_end();
    assert_eq!(output.code, Some(0), "{}", output.stdout);
}

#[test]
fn an_unknown_variable_is_warned_of() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let warning = "the environment variable \"KUMA_PROMETHEUS_SD_LOGLEVEL\" is unknown and has no \
                   effect; did you mean KUMA_PROMETHEUS_SD_LOG_LEVEL?";
    let launch = Launch::follow(&plane.grpc_url()).variable("KUMA_PROMETHEUS_SD_LOGLEVEL", "warn");
    let daemon = launch.start();
    daemon.wait_for_warning(warning);
    daemon.terminate();
}
