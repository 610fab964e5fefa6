//! SIGTERM and SIGINT end the daemon within 2 s and without an error, whatever it is doing, and
//! with everything written that it had acknowledged.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use kuma_stand_in::{
    ApiVersion, Body, ControlPlane, Event, Fault, HttpAnswer, KumaVersion, Resource,
};

use crate::support::harness::{Daemon, Launch, NOTHING_THERE, SOON, read_if_there};
use crate::support::mesh::{EMPTY, backend, file_v1};

/// A daemon in some state, and what must live for it to stay there.
type InState = (Daemon, Box<dyn std::any::Any>);

/// Each state once for each signal.
macro_rules! ended_within_2_seconds {
    ($($state:ident,)*) => {
        mod by_sigterm {
            $(#[test] fn $state() { super::ends(super::$state(), "TERM"); })*
        }
        mod by_sigint {
            $(#[test] fn $state() { super::ends(super::$state(), "INT"); })*
        }
    };
}

ended_within_2_seconds! {
    while_it_waits_for_its_next_attempt,
    while_a_grpc_peer_accepts_and_is_silent,
    while_a_name_does_not_resolve_for_grpc,
    while_a_name_does_not_resolve_for_http,
    while_the_api_server_is_silent,
    while_a_grpc_stream_is_idle,
    while_a_grpc_peer_stalls,
    while_a_poll_waits,
    while_an_answer_drips_in,
    while_a_nack_waits,
}

fn ends((daemon, kept): InState, signal: &str) {
    let finished = daemon.end_by(signal);
    assert_eq!(finished.stdout, "");
    // A thread may still tell of what it was doing.
    let told = "INFO ] stopping, as asked by a signal\n";
    finished.told(told);
    drop(kept);
}

fn in_state(daemon: Daemon, kept: impl std::any::Any) -> InState {
    (daemon, Box::new(kept))
}

/// A port that accepts and then says nothing, and the first connection to it.
fn silent_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn while_it_waits_for_its_next_attempt() -> InState {
    let daemon = Launch::follow(NOTHING_THERE).start();
    daemon.wait_for_log("next attempt in");
    in_state(daemon, ())
}

fn while_a_grpc_peer_accepts_and_is_silent() -> InState {
    let (listener, port) = silent_port();
    let daemon = Launch::follow(&format!("grpc://127.0.0.1:{port}")).start();
    let connection: (TcpStream, _) = listener.accept().unwrap();
    in_state(daemon, (listener, connection))
}

fn while_a_name_does_not_resolve_for_grpc() -> InState {
    let daemon = Launch::follow("grpc://does-not-resolve.invalid").start();
    daemon.wait_for_log("asking for MADS");
    in_state(daemon, ())
}

fn while_a_name_does_not_resolve_for_http() -> InState {
    let daemon = Launch::follow("http://does-not-resolve.invalid").start();
    daemon.wait_for_log("follows http://does-not-resolve.invalid");
    in_state(daemon, ())
}

fn while_the_api_server_is_silent() -> InState {
    let (listener, port) = silent_port();
    let daemon = Launch::follow(&format!("http://127.0.0.1:{port}")).start();
    let connection: (TcpStream, _) = listener.accept().unwrap();
    in_state(daemon, (listener, connection))
}

fn while_a_grpc_stream_is_idle() -> InState {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_log("wrote 0 targets");
    in_state(daemon, plane)
}

fn while_a_grpc_peer_stalls() -> InState {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_log("wrote 0 targets");
    plane.fault_proxy().set_fault(Fault::Stall);
    in_state(daemon, plane)
}

fn while_a_poll_waits() -> InState {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let daemon = Launch::follow(&plane.http_url()).start();
    plane.events().expect_request(SOON);
    let second = plane.events().expect_request(SOON);
    assert_eq!(Some(second.version_info), plane.version(ApiVersion::V1));
    in_state(daemon, plane)
}

fn while_an_answer_drips_in() -> InState {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    plane.answer_every_http(Some(HttpAnswer::with_body(
        200,
        Body::Drip { bytes: vec![b' '; 1 << 20], pause: Duration::from_millis(50) },
    )));
    let daemon = Launch::follow(&plane.http_url()).start();
    plane.events().expect_request(SOON);
    in_state(daemon, plane)
}

fn while_a_nack_waits() -> InState {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let v1 = ApiVersion::V1;
    plane.publish_raw(v1, v1.type_url(), vec![Resource::undecodable(v1)]);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_log("asking again in");
    in_state(daemon, plane)
}

#[test]
fn signals_that_mean_nothing_here_end_nothing() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut daemon = Launch::follow(&plane.grpc_url()).start();
    daemon.wait_for_log("wrote 0 targets");
    for (count, signal) in (1..).zip(["USR1", "USR2"]) {
        daemon.signal(signal);
        daemon.wait_for_log_count("ignored SIGUSR1 or SIGUSR2", count);
    }
    plane.publish(&[backend(1)]);
    daemon.wait_for_file(&file_v1(&[backend(1)]));
    daemon.terminate();
}

#[test]
fn under_a_flood_of_lists_it_ends_in_time_with_the_last_ack_in_the_file() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url());
    let daemon = launch.start();
    daemon.wait_for_file(EMPTY);

    let mut numbers = HashMap::new();
    thread::scope(|scope| {
        let end = scope.spawn(|| {
            // So many that the file, which changes ten times a second at most, is behind.
            daemon.wait_for_log_count("accepted version", 50);
            daemon.end_by("TERM")
        });
        for number in 1.. {
            if end.is_finished() {
                break;
            }
            plane.publish(&[backend(number)]);
            let version = plane.version(ApiVersion::V1).expect("one was published");
            numbers.insert(version, number);
        }
    });
    plane.events().expect_stream_closed(SOON);

    let acked = plane.events().seen().into_iter().filter_map(|event| match event {
        Event::Request(request) => numbers.get(&request.version_info).copied(),
        _ => None,
    });
    let last_acked = acked.max().expect("some list was acknowledged");
    let file = read_if_there(launch.output_path()).unwrap();
    let written = numbers.into_values().find(|number| file == file_v1(&[backend(*number)]));
    // An ACK may have been on its way when the daemon ended.
    assert!(written >= Some(last_acked), "{written:?} was written, {last_acked} acknowledged");
}
