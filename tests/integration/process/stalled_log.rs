//! A log that nobody reads, as with `svlogd` on a full disk: the pipe is full, and whoever writes to
//! it waits. The daemon goes on.

use std::fs;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::process::{Child, Stdio};
use std::time::Instant;

use kuma_stand_in::{ControlPlane, KumaVersion};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::harness::{Launch, SOON, STOP_LIMIT, wait_until};
use crate::support::mesh::{backend, file_v1};
use crate::support::streams::Collected;

/// So many lists are more lines at `debug` than may wait.
const LISTS: usize = 700;

/// A daemon whose stderr is a full pipe. Dropping it kills it.
struct Stalled {
    child: Child,
    launch: Launch,
    log: PipeReader,
}

impl Stalled {
    fn start(plane: &ControlPlane) -> Stalled {
        let (log, stderr) = pipe().unwrap();
        fill(&stderr);
        let launch = Launch::follow(&plane.grpc_url());
        let child = launch
            .command()
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let stalled = Stalled { child, launch, log };
        plane.events().expect_request(SOON);
        stalled
    }

    /// Ends it by SIGTERM, and sees that this takes less than 2 s and is no failure.
    #[track_caller]
    fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let start = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let has_ended = || self.child.try_wait().unwrap().is_some();
        assert!(wait_until(STOP_LIMIT, has_ended), "it did not end");
        assert!(start.elapsed() <= STOP_LIMIT);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
fn publish_many_lists(plane: &ControlPlane, daemon: &Stalled) {
    for number in 1..=LISTS {
        plane.publish(&[backend(number)]);
        plane.events().expect_ack(SOON);
    }
    let last = file_v1(&[backend(LISTS)]);
    let is_written =
        || fs::read_to_string(daemon.launch.output_path()).is_ok_and(|file| file == last);
    assert!(
        wait_until(SOON, is_written),
        "the last list is not in the file"
    );
}

#[test]
fn while_nobody_reads_the_log_lists_are_followed_and_signals_obeyed() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut daemon = Stalled::start(&plane);
    publish_many_lists(&plane, &daemon);
    daemon.terminate();
}

#[test]
fn when_the_log_is_read_again_it_says_how_many_lines_were_dropped() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut daemon = Stalled::start(&plane);
    publish_many_lists(&plane, &daemon);

    let mut log = Collected::from(daemon.log.try_clone().unwrap());
    let dropped = |line: &str| line.contains(" log lines were dropped, as the log was not read");
    let line = log.wait_for(SOON, dropped, 1).expect("it is told");
    assert!(line.contains(" WARN ] "), "{line}");
    plane.publish(&[backend(0)]);
    plane.events().expect_ack(SOON);
    daemon.terminate();

    drop(daemon);
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
