//! Where the daemon listens, and that it listens nowhere unasked.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch, NOTHING_THERE, SOON, wait_until};
use crate::support::listener::{LISTEN, get_by_unix};
use crate::support::mesh::{backends, file_v1};

/// How many sockets of the daemon listen.
fn listening(daemon: &Daemon) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.process())).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let links: Vec<PathBuf> = links.collect();
    let is_ours = |inode: &str| links.contains(&format!("socket:[{inode}]").into());
    let tables = ["tcp", "tcp6"]
        .map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines());
    let columns = rows.map(|row| row.split_whitespace().collect::<Vec<_>>());
    columns.filter(|columns| columns[3] == "0A" && is_ours(columns[9])).count()
}

#[test]
fn nothing_listens_unless_asked() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &backends(1));
    for (arguments, expected) in [(&[][..], 0), (&[LISTEN][..], 1)] {
        let daemon = Launch::follow(&plane.grpc_url()).arguments(arguments.iter().copied()).start();
        daemon.wait_for_file(&file_v1(&backends(1)));
        assert_eq!(listening(&daemon), expected, "{arguments:?}");
    }
}

#[test]
fn a_busy_port_is_an_error_at_start() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let launch = Launch::follow(NOTHING_THERE).argument(format!("--listen-address={address}"));
    let finished = launch.run_to_its_end();
    assert_eq!(finished.code, Some(1));
    // EADDRINUSE, whatever the libc calls it.
    let message = format!("cannot listen at http://{address}/: Address ");
    finished.told(&message);
    assert!(
        finished
            .stderr
            .contains("(os error 98); stop what listens there, or give another --listen-address"),
        "{}",
        finished.stderr
    );
}

#[test]
fn an_address_that_other_machines_reach_is_warned_of() {
    for (address, warnings) in [("0.0.0.0:0", 1), ("[::1]:0", 0), ("127.0.0.1:0", 0)] {
        let daemon =
            Launch::follow(NOTHING_THERE).argument(format!("--listen-address={address}")).start();
        daemon.wait_for_trouble();
        assert_eq!(daemon.lines_with("can be reached from other machines"), warnings, "{address}");
    }
}

#[test]
fn a_unix_socket_is_served_and_replaced_where_nobody_listens_any_more() {
    let launch = Launch::follow(NOTHING_THERE);
    let socket = launch.folder().join("sd.sock");
    // As a process that was killed leaves it behind.
    drop(UnixListener::bind(&socket).unwrap());
    let launch = launch.argument(format!("--listen-address=unix:{}", socket.display()));
    let daemon = launch.start();
    daemon.wait_for_log("served at unix:");
    assert!(wait_until(SOON, || get_by_unix(&socket, "/-/healthy").status == 200));
    let second = launch.output("second.json").run_to_its_end();
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    second.told("cannot listen at unix:");
    assert_eq!(get_by_unix(&socket, "/metrics").status, 200, "the first one still listens");
}

#[test]
fn a_unix_socket_admits_whoever_may_enter_its_folder() {
    let launch = Launch::follow(NOTHING_THERE);
    let socket = launch.folder().join("sd.sock");
    let launch = launch.argument(format!("--listen-address=unix:{}", socket.display()));
    let daemon = launch.prelude("umask 077").start();
    daemon.wait_for_log("served at unix:");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
}

#[test]
fn a_file_in_the_place_of_the_socket_is_not_removed() {
    let launch = Launch::follow(NOTHING_THERE);
    launch.put("sd.sock", "somebody's");
    let socket = launch.folder().join("sd.sock");
    let finished = launch
        .clone()
        .argument(format!("--listen-address=unix:{}", socket.display()))
        .run_to_its_end();
    assert_eq!(finished.code, Some(1));
    finished.told("which is not a socket");
    assert_eq!(fs::read_to_string(socket).unwrap(), "somebody's");
}
