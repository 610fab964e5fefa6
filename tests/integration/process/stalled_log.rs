//! A log that nobody reads, as with `svlogd` on a full disk: the pipe is full, and whoever writes to
//! it waits. The daemon goes on.

use std::io::{PipeReader, PipeWriter, Write, empty, pipe};

use kuma_stand_in::{ControlPlane, KumaVersion};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::harness::{Daemon, Launch, SOON};
use crate::support::mesh::{backend, file_v1};
use crate::support::streams::Collected;

/// So many lists are more lines at `debug` than may wait.
const LISTS: usize = 700;

/// A daemon whose stderr is a full pipe, and the other end of that.
fn stalled(plane: &ControlPlane) -> (Daemon, PipeReader) {
    let (log, stderr) = pipe().unwrap();
    fill(&stderr);
    let daemon = Launch::follow(&plane.grpc_url()).start_with_stderr(stderr, empty());
    plane.events().expect_request(SOON);
    (daemon, log)
}

/// Writes to a pipe until no byte more fits.
fn fill(mut pipe: &PipeWriter) {
    let flags = fcntl_getfl(pipe).unwrap();
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    while pipe.write(b"\n").is_ok() {}
    fcntl_setfl(pipe, flags).unwrap();
}

/// Publishes many lists, each of which is acknowledged, and waits until the last is in the file.
#[track_caller]
fn publish_many_lists(plane: &ControlPlane, daemon: &Daemon) {
    for number in 1..=LISTS {
        plane.publish(&[backend(number)]);
        plane.events().expect_ack(SOON);
    }
    daemon.wait_for_file(&file_v1(&[backend(LISTS)]));
}

#[test]
fn while_nobody_reads_the_log_lists_are_followed_and_signals_obeyed() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let (daemon, _log) = stalled(&plane);
    publish_many_lists(&plane, &daemon);
    daemon.terminate();
}

#[test]
fn when_the_log_is_read_again_it_says_how_many_lines_were_dropped() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let (daemon, log) = stalled(&plane);
    publish_many_lists(&plane, &daemon);

    let mut log = Collected::from(log);
    let dropped = |line: &str| line.contains(" log lines were dropped, as the log was not read");
    let line = log.wait_for(SOON, dropped, 1).expect("it is told");
    assert!(line.contains(" WARN ] "), "{line}");
    plane.publish(&[backend(0)]);
    plane.events().expect_ack(SOON);
    daemon.terminate();

    log.wait_for_end();
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines[0].contains(" follows "), "{}", lines[0]);
    assert_eq!(lines.iter().filter(|line| dropped(line)).count(), 1);
    // What is queued at the end is still written.
    let stopping = "stopping, as asked by a signal";
    assert!(lines.iter().any(|line| line.ends_with(stopping)), "{text}");
    // Of one thread, as two may take the time in one order and append in the other.
    let of_receiver = lines.iter().filter(|line| line.contains(" version "));
    let times: Vec<&str> = of_receiver.map(|line| &line[..25]).collect();
    assert!(times.len() > LISTS / 2, "{text}");
    assert!(times.is_sorted(), "{text}");
}
