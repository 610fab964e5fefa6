//! A file system that hangs: the daemon's system call on the output does not come back. The rest of
//! the daemon lives on, says so, and ends when it is asked to; and when the call comes back, the
//! newest list is written.
//!
//! A lease makes any file hang for whoever opens it, until it is given back: the daemon opens its
//! output to see what somebody else has written into it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON};
use crate::support::lists;
use crate::support::not_tried::not_tried;
use crate::support::notify::Manager;
use crate::support::observe::expect_settled;

/// Takes a write lease on a file, changes the file, says so, and gives the lease back when stdin
/// ends. The kernel asks for the lease by SIGIO, and takes it after 45 s.
const LEASE: &str = r#"
    use strict; use Fcntl;
    $SIG{IO} = "IGNORE"; $| = 1;
    open(my $file, "+<", $ARGV[0]) or die "open: $!";
    defined(fcntl($file, F_SETLEASE, F_WRLCK)) or die "lease: $!";
    syswrite($file, "changed by hand");
    print "leased\n";
    <STDIN>;
"#;

/// What a service manager gives the daemon to say that it lives.
const WATCHDOG: Duration = Duration::from_secs(2);

struct Lease {
    holder: Child,
}

impl Lease {
    /// `None` where this machine has no leases; then it says so.
    fn take(path: &Path) -> Option<Lease> {
        let holder = Command::new("perl")
            .args(["-e", &LEASE.replace("F_SETLEASE", "1024")])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = match holder {
            Ok(holder) => holder,
            Err(error) => {
                not_tried(format_args!("no perl to take a lease with: {error}"));
                return None;
            }
        };
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it can be read");
        let lease = Lease { holder };
        if line.is_empty() {
            not_tried("this file system has no leases");
            return None;
        }
        Some(lease)
    }

    fn give_back(mut self) {
        let mut stdin = self.holder.stdin.take().expect("it is piped");
        stdin.write_all(b"\n").expect("it waits for this");
        self.holder.wait().expect("it ends then");
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A daemon whose writer hangs.
fn hanging(manager: &Manager) -> Option<(ControlPlane, Daemon, Lease)> {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 3));
    let launch = Launch::follow(&plane.grpc_url()).argument("--log-level=info");
    let launch = manager.manage(launch).variable("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let daemon = launch.start();
    daemon.wait_for_file(&lists::file(1, 3));
    expect_settled(&plane);
    let lease = Lease::take(daemon.output_path())?;
    // It looks at its file every 5 s, may take 10 s, and is looked at every 5 s itself.
    daemon.wait_for_log_within("does the file system of ", SOON);
    Some((plane, daemon, lease))
}

#[test]
fn a_hanging_file_system_loses_no_list_and_does_not_keep_the_daemon() {
    thread::scope(|scope| {
        scope.spawn(the_newest_list_is_written_when_it_is_over);
        scope.spawn(the_daemon_ends_nevertheless);
    });
}

fn the_newest_list_is_written_when_it_is_over() {
    let manager = Manager::listen();
    let Some((plane, daemon, lease)) = hanging(&manager) else {
        return;
    };
    // Nothing that came before counts; after that a watchdog waits in vain, until it would act.
    manager.rest();
    let deadline = Instant::now() + WATCHDOG;
    while let Some(message) = manager.next(deadline.saturating_duration_since(Instant::now())) {
        assert_ne!(message, "WATCHDOG=1");
    }
    for number in 2..=5 {
        plane.publish(&lists::list(number, 3));
        expect_settled(&plane);
    }
    lease.give_back();
    daemon.wait_for_file(&lists::file(5, 3));
    manager.expect("WATCHDOG=1");
    assert_eq!(daemon.lines_with("the writer thread is"), 1);
}

fn the_daemon_ends_nevertheless() {
    let manager = Manager::listen();
    let Some((_plane, daemon, lease)) = hanging(&manager) else {
        return;
    };
    // Within 2 s, and without an error.
    let finished = daemon.terminate();
    let text = "a thread hangs and is left behind";
    finished.told(text);
    drop(lease);
}

#[test]
fn a_single_run_ends_at_its_timeout() {
    let plane = ControlPlane::serving(KumaVersion::V2_6, &lists::list(1, 1));
    let launch = Launch::follow(&plane.grpc_url()).arguments(["--once", "--timeout=6s"]);
    launch.put("kuma.file_sd.json", "old");
    let Some(lease) = Lease::take(launch.output_path()) else {
        return;
    };
    let finished = launch.run_to_its_end();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let output = launch.output_path().display();
    let reason = format!(
        "writing to {output} takes longer than 6.0 s: its file system hangs, or nobody reads it\n"
    );
    assert!(finished.stderr.ends_with(&reason), "{}", finished.stderr);
    lease.give_back();
}
