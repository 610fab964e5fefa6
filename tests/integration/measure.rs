//! What the daemon costs: `make measure` prints a table for the static binary, or for the one that
//! `KUMA_PROMETHEUS_SD_BINARY` names. Nothing is asserted but that each list arrives: figures are for
//! people to compare, on one machine at one time.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::harness::{Daemon, Launch, SOON, program};
use crate::support::lists;
use crate::support::process::Figures;

/// So many lists follow the first one.
const PUSHES: usize = 20;

/// The file changes at most ten times a second, and over HTTP a poll starts a second after the last.
const PAUSE: Duration = Duration::from_millis(1100);

/// How often a file is looked at that changes any moment.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

#[test]
#[ignore = "takes minutes, and judges nothing: `make measure`"]
fn pushes() {
    println!("{}", program().to_string_lossy());
    println!(
        "                      first file   push to file       CPU per push    resident       peak"
    );
    for (kuma, transport) in [(KumaVersion::V2_6, "gRPC"), (KumaVersion::V2_12, "HTTP")] {
        for targets in [100, 1_000, 10_000, 20_000] {
            measure(kuma, transport, targets);
        }
    }
}

fn measure(kuma: KumaVersion, transport: &str, targets: usize) {
    let plane = ControlPlane::start(kuma);
    plane.publish(&lists::list(0, targets));
    let launch = Launch::follow(&plane.http_url()).argument("--log-level=info");
    let start = Instant::now();
    let daemon = launch.start();
    daemon.wait_for_file(&lists::file(0, targets));
    let first = start.elapsed();

    let process = daemon.process();
    let before = Figures::of(process);
    let mut times: Vec<Duration> = (1..=PUSHES)
        .map(|number| push(&plane, &daemon, number, targets))
        .collect();
    times.sort_unstable();
    daemon.wait_for_file(&lists::file(PUSHES, targets));
    let after = Figures::of(process);
    println!(
        "{transport} {targets:>6} targets {first:>10.1?}   {:>9.1?} median {:>10.1?}   {:>6} KiB {:>6} KiB",
        times[PUSHES / 2],
        (after.cpu - before.cpu) / u32::try_from(PUSHES).unwrap_or(u32::MAX),
        after.resident_kib,
        after.peak_kib,
    );
}

/// Publishes a list; the time until the file is another one. The control plane's own work counts too.
fn push(plane: &ControlPlane, daemon: &Daemon, number: usize, targets: usize) -> Duration {
    let list = lists::list(number, targets);
    let written = || {
        fs::metadata(daemon.output_path())
            .and_then(|file| file.modified())
            .ok()
    };
    let before = written();
    thread::sleep(PAUSE);
    let start = Instant::now();
    plane.publish(&list);
    while written() == before {
        assert!(start.elapsed() < SOON, "list {number} does not arrive");
        thread::sleep(LOOK_AGAIN);
    }
    start.elapsed()
}
