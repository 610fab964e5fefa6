//! What clients cannot do: hold up the list, keep others out, or make the daemon hold ever more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Launch, NOTHING_THERE, SOON, wait_until};
use crate::support::listener::{LISTEN, address_of, connect, get};
use crate::support::lists;
use crate::support::mesh::{backends, file_v1};
use crate::support::observe::expect_settled;

const CLIENTS: usize = 1000;

/// As many connections as the listener keeps, and what it is between two of them.
const MORE_DESCRIPTORS: usize = 32 + 2;

#[test]
fn a_thousand_slow_clients_change_nothing() {
    // Over HTTP, as C-core may start threads of its own at any time.
    let plane = ControlPlane::serving(KumaVersion::V2_12, &backends(1));
    let daemon = Launch::follow(&plane.http_url()).argument(LISTEN).start();
    daemon.wait_for_file(&file_v1(&backends(1)));
    expect_settled(&plane);
    let address = address_of(&daemon);
    let before = daemon.figures();
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = connect(address);
            client.write_all(b"GET /metrics HTTP/1.1\r\nHos").unwrap();
            client
        })
        .collect();

    plane.publish(&backends(2));
    daemon.wait_for_file(&file_v1(&backends(2)));
    assert_eq!(get(address, "/metrics").status, 200);
    let after = daemon.figures();
    assert!(after.descriptors <= before.descriptors + MORE_DESCRIPTORS, "{after:?}");
    assert_eq!(after.threads, before.threads);

    // Those that were kept are closed as well, soon.
    for mut client in clients {
        let ended = client.read(&mut [0; 1]);
        assert!(matches!(ended, Ok(0) | Err(_)), "it was answered");
    }
}

/// What two lists of 20,000 targets take, the message of one, and what debug builds and the C library keep.
const MORE_MEMORY_KIB: u64 = 48 << 10;

#[test]
fn clients_that_never_read_hold_no_more_than_two_lists() {
    let targets = 20_000;
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, targets));
    let daemon = Launch::follow(&plane.grpc_url()).argument(LISTEN).start();
    daemon.wait_for_file(&lists::file(1, targets));
    let address = address_of(&daemon);
    let client = || {
        let mut client = connect(address);
        client.write_all(b"GET /targets HTTP/1.1\r\n\r\n").unwrap();
        client
    };
    // More than are kept, and then another one for each list.
    let mut clients: Vec<TcpStream> = (0..40).map(|_| client()).collect();
    let mut before = 0;
    for number in 2..14 {
        clients.push(client());
        plane.publish(&lists::list(number, targets));
        daemon.wait_for_file(&lists::file(number, targets));
        let is_served = || get(address, "/targets").text() == lists::file(number, targets);
        assert!(wait_until(SOON, is_served), "list {number}");
        if number == 4 {
            before = daemon.figures().resident_kib;
        }
    }
    let grown = daemon.figures().resident_kib.saturating_sub(before);
    assert!(grown < MORE_MEMORY_KIB, "{grown} KiB more");
    // Each list has 9 MB, more than a socket takes, so whoever asked for the first one was cut off.
    let mut received = Vec::new();
    let ended = clients[39].read_to_end(&mut received);
    assert!(ended.is_err() || received.len() < lists::file(1, targets).len());
    daemon.terminate();
}

#[test]
fn few_descriptors_are_left_to_what_the_daemon_is_for() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(1));
    let launch = Launch::follow(&plane.grpc_url()).argument(LISTEN);
    let daemon = launch.prelude("ulimit -n 40").start();
    daemon.wait_for_file(&file_v1(&backends(1)));
    let address = address_of(&daemon);
    let _clients: Vec<TcpStream> = (0..60).map(|_| connect(address)).collect();
    plane.restart();
    plane.publish(&backends(2));
    daemon.wait_for_file(&file_v1(&backends(2)));
    assert_eq!(daemon.lines_with("Too many open files"), 0);
    assert_eq!(get(address, "/-/healthy").status, 200);
}

#[test]
fn a_client_that_has_gone_holds_no_connection() {
    let daemon = Launch::follow(NOTHING_THERE).argument(LISTEN).start();
    let address = address_of(&daemon);
    let mut client = connect(address);
    client.write_all(b"GET / HT").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let start = Instant::now();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    assert!(start.elapsed() < Duration::from_secs(4), "it was kept until the limit");
}
