//! What clients cannot do: hold up the list, keep others out, or make the daemon hold ever more.

use std::io::{Read, Write};
use std::net::TcpStream;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::Launch;
use crate::support::listener::{LISTEN, address_of, connect, get};
use crate::support::mesh::{backends, file_v1};

const CLIENTS: usize = 1000;

/// As many connections as the listener keeps, and what it is between two of them.
const MORE_DESCRIPTORS: usize = 32 + 2;

#[test]
fn a_thousand_slow_clients_change_nothing() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&backends(1));
    let daemon = Launch::follow(&plane.grpc_url()).argument(LISTEN).start();
    daemon.wait_for_file(&file_v1(&backends(1)));
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
    assert!(
        after.descriptors <= before.descriptors + MORE_DESCRIPTORS,
        "{after:?}"
    );
    assert_eq!(after.threads, before.threads);

    // Those that were kept are closed as well, soon.
    for mut client in clients {
        let ended = client.read(&mut [0; 1]);
        assert!(matches!(ended, Ok(0) | Err(_)), "it was answered");
    }
}

#[test]
fn clients_that_never_read_change_nothing() {
    let targets = 20_000;
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.publish(&backends(targets));
    let daemon = Launch::follow(&plane.grpc_url()).argument(LISTEN).start();
    daemon.wait_for_file(&file_v1(&backends(targets)));
    let address = address_of(&daemon);
    let clients: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut client = connect(address);
            client.write_all(b"GET /targets HTTP/1.1\r\n\r\n").unwrap();
            client
        })
        .collect();

    plane.publish(&backends(3));
    daemon.wait_for_file(&file_v1(&backends(3)));
    assert_eq!(get(address, "/targets").text(), file_v1(&backends(3)));
    drop(clients);
    daemon.terminate();
}
