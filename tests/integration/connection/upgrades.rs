//! A control plane that is upgraded, and rolled back, under one running daemon: it follows by
//! itself, and a reader of the file never sees anything but lists that a control plane has sent.

use std::time::{Duration, Instant};

use kuma_stand_in::{ApiVersion, ControlPlane, Event, KumaVersion, Transport};

use crate::support::harness::{Daemon, Launch, SOON, on_its_port};
use crate::support::reader::Reader;
use crate::support::{lists, mesh};

/// From 0.7 by each step to 2.12 and one back; then every other pair in each direction.
const WALK: [KumaVersion; 13] = [
    KumaVersion::V0_7,
    KumaVersion::V1_2,
    KumaVersion::V2_6,
    KumaVersion::V2_12,
    KumaVersion::V2_6,
    KumaVersion::V0_7,
    KumaVersion::V2_6,
    KumaVersion::V1_2,
    KumaVersion::V0_7,
    KumaVersion::V2_12,
    KumaVersion::V1_2,
    KumaVersion::V2_12,
    KumaVersion::V0_7,
];

/// The backoff's first two pauses, and time for a busy machine.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);

/// How often the file is read: as often as leaves other tests room.
const READ_AGAIN: Duration = Duration::from_micros(100);

/// The API version that the daemon speaks with a version of Kuma.
fn api_version(kuma: KumaVersion) -> ApiVersion {
    match kuma {
        KumaVersion::V0_7 | KumaVersion::V1_1 => ApiVersion::V1Alpha1,
        _ => ApiVersion::V1,
    }
}

/// The transport that the daemon uses with a version of Kuma.
fn transport(kuma: KumaVersion) -> Transport {
    if kuma.serves().grpc() { Transport::Grpc } else { Transport::Http }
}

/// So many targets each list has.
const TARGETS: usize = 100;

/// Lets a daemon follow a control plane through `WALK`, where `change` brings about each step.
fn follow(address: impl Fn(&ControlPlane) -> String, change: impl Fn(&ControlPlane, KumaVersion)) {
    let plane = ControlPlane::start(WALK[0]);
    let expect = |daemon: &Daemon, kuma, number| {
        let list = lists::list(number, TARGETS);
        daemon.wait_for_file(&mesh::file(api_version(kuma), &list));
    };
    plane.publish(&lists::list(0, TARGETS));
    let daemon = Launch::follow(&address(&plane)).start();
    expect(&daemon, WALK[0], 0);
    let reader = Reader::start_with_pauses(daemon.output_path(), READ_AGAIN);

    for (number, kuma) in WALK.into_iter().enumerate().skip(1) {
        plane.events().discard();
        let changed = Instant::now();
        change(&plane, kuma);
        // Not the last ACK to the control plane before. A poll never goes on over a connection of
        // its own making, so that a rollback from HTTP to gRPC is noticed as well.
        let first = |event: &Event| match event {
            Event::Request(request) if request.nonce.is_empty() => {
                let spoken = (request.api_version, request.transport);
                (spoken == (api_version(kuma), transport(kuma))).then_some(())
            }
            _ => None,
        };
        plane.events().expect("a first request", SOON, first);
        let elapsed = changed.elapsed();
        assert!(elapsed < FOLLOWED_WITHIN, "{kuma}: after {elapsed:?}");
        // The same list; then one that has changed, which shows that the new way works.
        expect(&daemon, kuma, number - 1);
        plane.publish(&lists::list(number, TARGETS));
        expect(&daemon, kuma, number);
    }
    // The reader may miss a list that the next one follows at once, but sees nothing else.
    let seen = reader.finish().lists;
    assert!(seen.is_sorted(), "{seen:?}");
}

#[test]
fn a_daemon_at_mads_itself_follows_every_upgrade_and_rollback() {
    follow(ControlPlane::grpc_url, ControlPlane::upgrade_to);
}

#[test]
fn a_daemon_at_the_api_server_follows_every_upgrade_and_rollback() {
    follow(ControlPlane::api_url, ControlPlane::upgrade_to);
}

#[test]
fn a_daemon_at_mads_by_an_http_address_follows_every_upgrade_and_rollback() {
    follow(ControlPlane::http_url, ControlPlane::upgrade_to);
}

#[test]
fn a_control_plane_that_is_away_during_its_upgrade_is_followed() {
    follow(ControlPlane::api_url, |plane, kuma| {
        plane.go_away();
        plane.upgrade_to(kuma);
        on_its_port(|| plane.come_back());
    });
}
