//! Upgrades, and faults on the way.

mod support;

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kuma_stand_in::{
    ApiVersion, ControlPlane, Dataplane, Event, Fault, KumaVersion, Plan, free_port,
};
use support::{Http, QUIET, SOON, Stream};

fn backend() -> Dataplane {
    Dataplane::new("backend", "backend-01", "192.168.0.1:5670")
}

#[test]
fn an_upgrade_ends_the_streams_and_forgets_the_versions_but_not_the_mesh() {
    let plane = ControlPlane::serving(KumaVersion::V1_2, &[backend()]);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    let before = stream.response();
    let (opened, _) = plane.events().expect_stream_opened(SOON);

    plane.upgrade_to(KumaVersion::V2_6);
    assert_eq!(i32::from(stream.end().code()), 14);
    assert_eq!(plane.events().expect_stream_closed(SOON), opened);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request(&before.version_info, "", None);
    let after = stream.response();
    assert_eq!(after.resources.len(), 1);
    assert_ne!(after.version_info, before.version_info);

    plane.upgrade_to(KumaVersion::V2_12);
    let answer = Http::connect(plane.port()).poll(&after.version_info, "30s");
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("backend-01"));

    // And back.
    plane.upgrade_to(KumaVersion::V0_7);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1Alpha1);
    stream.request("", "", None);
    assert_eq!(stream.response().resources.len(), 1);
}

#[test]
fn a_stalled_connection_is_silent_until_it_flows_again() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let mut open = Http::connect(plane.port());
    let version = plane.version(ApiVersion::V1).unwrap();
    assert_eq!(open.poll(&version, "0s").status, 304);
    plane.fault_proxy().set_fault(Fault::Stall);
    let mut new = Http::connect(plane.port());
    plane.events().discard();
    std::thread::scope(|scope| {
        let polls = [&mut open, &mut new].map(|http| scope.spawn(|| http.poll("", "30s")));
        plane.events().expect_no_request(QUIET);
        plane.fault_proxy().set_fault(Fault::None);
        for poll in polls {
            assert_eq!(poll.join().unwrap().status, 200);
        }
    });
}

#[test]
fn a_cut_ends_stalled_connections_too() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    plane.fault_proxy().set_fault(Fault::Stall);
    let mut http = Http::connect(plane.port());
    http.send("GET / HTTP/1.1\r\n\r\n").unwrap();
    plane.events().wait_for("the connection", SOON, || plane.fault_proxy().connections() == 1);
    plane.fault_proxy().cut();
    assert_eq!(http.rest().unwrap_or_default(), "");
}

#[test]
fn a_slow_connection_is_slow_and_a_garbled_one_garbled() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    plane.fault_proxy().set_fault(Fault::Slow { bytes: 50, pause: Duration::from_millis(20) });
    let started = Instant::now();
    assert_eq!(Http::connect(plane.port()).poll("", "30s").status, 200);
    assert!(started.elapsed() > Duration::from_millis(60));

    plane.fault_proxy().set_fault(Fault::Garble { every: 3 });
    let mut http = Http::connect(plane.port());
    http.send("GET / HTTP/1.0\r\nConnection: close\r\n\r\n").unwrap();
    let answer = http.rest().unwrap();
    assert!(answer.starts_with("\x1dTTP\x7a1.1"), "{answer}");
}

#[test]
fn a_control_plane_can_start_late_on_a_port_that_is_known_before() {
    let port = free_port().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let plan = Plan { port: Some(port), ..Plan::new(KumaVersion::V2_12) };
    let plane = plan.clone().start().unwrap();
    assert_eq!(Http::connect(port).poll("", "30s").status, 200);
    assert!(plan.clone().start().is_err(), "the port is taken");
    drop(plane);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    plan.start().unwrap();
}

#[test]
fn a_refusing_front_keeps_its_open_connections() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let mut open = Http::connect(plane.port());
    assert_eq!(open.poll("", "30s").status, 200);
    plane.fault_proxy().refuse();
    assert!(TcpStream::connect(("127.0.0.1", plane.port())).is_err());
    assert_eq!(open.poll("", "30s").status, 200);
    plane.fault_proxy().listen().unwrap();
    assert_eq!(Http::connect(plane.port()).poll("", "30s").status, 200);
}

#[test]
fn many_connections_leave_nothing_behind() {
    let plane = ControlPlane::start(KumaVersion::V1_2);
    let version = plane.version(ApiVersion::V1).unwrap();
    let round = || {
        let mut stream = Stream::open(plane.port(), ApiVersion::V1);
        stream.request("", "", None);
        stream.response();
        assert_eq!(Http::connect(plane.port()).poll(&version, "0s").status, 304);
    };
    let settled = || {
        plane.events().wait_for("the end of all", SOON, || plane.fault_proxy().connections() == 0);
        let opened = |event: &Event| matches!(event, Event::StreamOpened { .. });
        let closed = |event: &Event| matches!(event, Event::StreamClosed { .. });
        plane.events().wait_for("the end of all streams", SOON, || {
            let seen = plane.events().seen();
            seen.iter().filter(|e| opened(e)).count() == seen.iter().filter(|e| closed(e)).count()
        });
        fs::read_dir("/proc/self/fd").unwrap().count()
    };
    (0..10).for_each(|_| round());
    let before = settled();
    (0..300).for_each(|_| round());
    let after = settled();
    // Other tests of this process come and go meanwhile, with a few dozens of their own.
    assert!(after < before + 150, "{before} descriptors became {after}");
}
