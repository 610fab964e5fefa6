//! The control plane is away: it refuses, cannot be reached, or accepts and says nothing; when the
//! daemon starts, and later. The file stays untouched, the daemon is quiet, and it is back soon
//! after the control plane is.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, Fault, KumaVersion};

use crate::support::following::at_once;
use crate::support::harness::{Launch, on_its_port};
use crate::support::lists;
use crate::support::mesh::{backends, file_v1};
use crate::support::observe::{self, BACK_WITHIN, OLD, assert_quiet};

/// After a short outage it is back within 3 s; this machine may need as long again.
const BACK_SOON: Duration = Duration::from_secs(6);

/// The hundredths of a core that a build without optimisation may use while it is waiting.
const IDLE: u32 = 2;

/// A way to be away.
struct Away {
    name: &'static str,
    kuma: KumaVersion,
    address: fn(&ControlPlane) -> String,
    /// Begins it; what it returns lasts until the control plane is back.
    begin: fn(&ControlPlane) -> Box<dyn Send>,
    end: fn(&ControlPlane),
}

fn refuse(plane: &ControlPlane) -> Box<dyn Send> {
    plane.go_away();
    Box::new(())
}

fn stay_silent(plane: &ControlPlane) -> Box<dyn Send> {
    plane.fault_proxy().set_fault(Fault::Stall);
    plane.fault_proxy().cut();
    Box::new(())
}

fn be_unreachable(plane: &ControlPlane) -> Box<dyn Send> {
    plane.go_away();
    Box::new(Unreachable::at(plane.fault_proxy().address()))
}

fn be_unreachable_at_the_api_server(plane: &ControlPlane) -> Box<dyn Send> {
    plane.go_away();
    Box::new(Unreachable::at(plane.api().address()))
}

fn come_back(plane: &ControlPlane) {
    plane.fault_proxy().set_fault(Fault::None);
    on_its_port(|| plane.come_back());
}

const AWAY: [Away; 6] = [
    Away {
        name: "MADS refuses",
        kuma: KumaVersion::V2_6,
        address: ControlPlane::grpc_url,
        begin: refuse,
        end: come_back,
    },
    Away {
        name: "the API server refuses",
        kuma: KumaVersion::V2_12,
        address: ControlPlane::api_url,
        begin: refuse,
        end: come_back,
    },
    Away {
        name: "MADS cannot be reached",
        kuma: KumaVersion::V2_6,
        address: ControlPlane::grpc_url,
        begin: be_unreachable,
        end: come_back,
    },
    Away {
        name: "the API server cannot be reached",
        kuma: KumaVersion::V2_12,
        address: ControlPlane::api_url,
        begin: be_unreachable_at_the_api_server,
        end: come_back,
    },
    Away {
        name: "MADS accepts and is silent, by its gRPC address",
        kuma: KumaVersion::V2_6,
        address: ControlPlane::grpc_url,
        begin: stay_silent,
        end: come_back,
    },
    Away {
        name: "MADS accepts and is silent, by its HTTP address",
        kuma: KumaVersion::V2_12,
        address: ControlPlane::http_url,
        begin: stay_silent,
        end: come_back,
    },
];

/// A port that answers no attempt to connect, as behind a firewall that drops everything: its
/// queue is full.
struct Unreachable {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Unreachable {
    fn at(address: SocketAddr) -> Unreachable {
        let listener = on_its_port(|| TcpListener::bind(address));
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
        let queued: Vec<TcpStream> = (0..10_000).map_while(connect).collect();
        assert!(queued.len() < 10_000, "its queue has no end");
        Unreachable { _listener: listener, _queued: queued }
    }
}

#[test]
fn while_it_is_away_the_daemon_is_quiet_and_then_back() {
    at_once(&AWAY, is_endured);
}

fn is_endured(away: &Away) {
    let plane = ControlPlane::start(away.kuma);
    plane.publish(&lists::list(1, 20));
    let launch = || Launch::follow(&(away.address)(&plane)).argument("--log-level=info");
    let later = launch().start();
    later.wait_for_file(&lists::file(1, 20));
    observe::expect_settled(&plane);

    let lasting = (away.begin)(&plane);
    let launch = launch();
    fs::write(launch.output_path(), OLD).expect("a file can be written");
    let at_start = launch.start();
    let daemons = [(&later, "later"), (&at_start, "at start")];
    for (daemon, _) in daemons {
        daemon.wait_for_trouble();
    }
    at_once(daemons, |(daemon, when)| {
        assert_quiet(&format!("{}, {when}", away.name), daemon, IDLE);
    });
    assert_eq!(later.file(), Some(lists::file(1, 20)), "{}", away.name);
    assert_eq!(at_start.file().as_deref(), Some(OLD), "{}", away.name);

    plane.publish(&lists::list(2, 20));
    drop(lasting);
    (away.end)(&plane);
    let back = Instant::now();
    for (daemon, when) in daemons {
        let left = BACK_WITHIN.saturating_sub(back.elapsed());
        daemon.wait_for_file_within(&lists::file(2, 20), left);
        println!("{}, {when}: back within {:?}", away.name, back.elapsed());
    }
}

#[test]
fn after_a_short_outage_it_is_back_within_3_seconds() {
    let versions = [KumaVersion::V0_7, KumaVersion::V2_6, KumaVersion::V2_12];
    at_once(versions, is_back_soon);
}

fn is_back_soon(kuma: KumaVersion) {
    let plane = ControlPlane::start(kuma);
    let daemon = Launch::follow(&plane.api_url()).start();
    daemon.wait_for_log("wrote 0 targets");
    plane.go_away();
    daemon.wait_for_trouble();
    plane.publish(&backends(3));
    on_its_port(|| plane.come_back());
    let back = Instant::now();
    daemon.wait_for_log("wrote 3 targets");
    assert!(back.elapsed() <= BACK_SOON, "{kuma}: {:?}", back.elapsed());
}

#[test]
fn a_control_plane_that_restarts_at_once_costs_one_short_pause() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let daemon = Launch::follow(&plane.grpc_url()).start();
    for count in 1..=3 {
        plane.publish(&backends(count));
        daemon.wait_for_file(&file_v1(&backends(count)));
        plane.restart();
        let line = daemon.wait_for_log_count("next attempt in", count);
        let pause = line.rsplit_once("in ").and_then(|(_, pause)| pause.strip_suffix(" s"));
        let seconds: f64 = pause.and_then(|pause| pause.parse().ok()).expect(&line);
        assert!((0.2..=2.0).contains(&seconds), "{line}");
    }
}
