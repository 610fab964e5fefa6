//! A control plane that is known by its name, and a name server that is silent, knows no such name
//! or no address of it; when the daemon starts, and later.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch};
use crate::support::lists;
use crate::support::name_server::{Answer, NameServer};
use crate::support::observe::{BACK_WITHIN, OLD, assert_quiet};
use crate::support::own_process;

/// Makes the namespace ask the name server of the test.
const OWN_NAME_SERVER: &str = "ip link set lo up \
    && echo nameserver 127.0.0.1 > \"$folder/resolv.conf\" \
    && mount --bind \"$folder/resolv.conf\" /etc/resolv.conf";

/// The hundredths of a core that a build without optimisation may use.
const IDLE: u32 = 2;

#[test]
fn an_outage_of_the_name_server_does_not_end_a_connection_that_stands() {
    let test = an_outage_of_the_name_server_does_not_end_a_connection_that_stands;
    let side = own_process::in_namespaces(&["--mount", "--net"], OWN_NAME_SERVER, test);
    if side.inside().is_none() {
        return;
    }
    let names = NameServer::start();
    let plane = ControlPlane::serving(KumaVersion::V2_12, &lists::list(1, 20));
    let daemon = Launch::follow(&format!("http://cp.test:{}", plane.port())).start();
    daemon.wait_for_file(&lists::file(1, 20));
    names.set(Answer::NoSuchName);
    for round in 2..5 {
        plane.publish(&lists::list(round, 20));
        daemon.wait_for_file(&lists::file(round, 20));
    }
    assert_eq!(daemon.lines_with("no connection"), 0);
}

#[test]
fn while_a_name_does_not_resolve_the_daemon_is_quiet_and_then_back() {
    let test = while_a_name_does_not_resolve_the_daemon_is_quiet_and_then_back;
    let side = own_process::in_namespaces(&["--mount", "--net"], OWN_NAME_SERVER, test);
    if side.inside().is_none() {
        return;
    }
    let names = NameServer::start();
    let planes = [ControlPlane::start(KumaVersion::V2_6), ControlPlane::start(KumaVersion::V2_12)];
    let address = |plane: &ControlPlane, index| match index {
        0 => format!("grpc://mads.test:{}", plane.port()),
        _ => format!("http://cp.test:{}", plane.api().address().port()),
    };
    let start = |plane: &ControlPlane, index| {
        let launch = Launch::follow(&address(plane, index)).argument("--log-level=info");
        fs::write(launch.output_path(), OLD).expect("a file can be written");
        launch.start()
    };
    let mut daemons: Vec<Daemon> = Vec::new();
    for (index, plane) in planes.iter().enumerate() {
        plane.publish(&lists::list(1, 20));
        let daemon = start(plane, index);
        daemon.wait_for_file(&lists::file(1, 20));
        daemons.push(daemon);
    }

    names.set(Answer::NoSuchName);
    for (index, plane) in planes.iter().enumerate() {
        // What runs loses its stream; what starts has none.
        plane.restart();
        plane.publish(&lists::list(2, 20));
        daemons.push(start(plane, index));
    }
    for daemon in &daemons {
        daemon.wait_for_trouble();
    }
    thread::scope(|scope| {
        for (number, daemon) in daemons.iter().enumerate() {
            let fault = format!("no such name, no address, no answer ({number})");
            scope.spawn(move || assert_quiet(&fault, daemon, IDLE));
        }
        for answer in [Answer::NoAddress, Answer::Silence] {
            thread::sleep(Duration::from_secs(3));
            names.set(answer);
        }
    });

    names.set(Answer::ThisMachine);
    let back = Instant::now();
    for (number, daemon) in daemons.iter().enumerate() {
        let left = BACK_WITHIN.saturating_sub(back.elapsed());
        daemon.wait_for_file_within(&lists::file(2, 20), left);
        println!("{number}: back within {:?}", back.elapsed());
    }
}
