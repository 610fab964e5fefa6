//! A response over the limit of 256 MiB: it is refused, memory stays within bounds, and the last
//! good list stays until there is another.

use std::time::Duration;

use kuma_stand_in::{Body, ControlPlane, HttpAnswer, KumaVersion};

use crate::support::following::following_list_of;
use crate::support::harness::Daemon;
use crate::support::lists;

/// What is logged of it.
const REFUSED: &str = "the response is larger than the limit of 256 MiB";

/// Far more than C-core may hold while a message comes.
const OVERSIZED: usize = 800 << 20;

/// It takes its time on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Sees that the daemon refuses, and returns its peak of memory in MiB.
fn refuses(plane: &ControlPlane, daemon: &Daemon) -> u64 {
    daemon.wait_for_log_within(REFUSED, LIMIT);
    assert_eq!(daemon.file(), Some(lists::file(1, 3)));
    let peak = daemon.figures().peak_kib >> 10;
    plane.publish(&lists::list(2, 3));
    daemon.wait_for_file(&lists::file(2, 3));
    println!("a peak of {peak} MiB");
    peak
}

#[test]
fn an_oversized_message_over_grpc_is_refused() {
    let (plane, daemon) = following_list_of(KumaVersion::V2_6, 3);
    assert_eq!(plane.send_bytes(&vec![0; OVERSIZED]), 1);
    let peak = refuses(&plane, &daemon);
    assert!(peak <= 2 * 256 + 100, "{peak} MiB");
}

#[test]
fn a_body_without_an_end_over_http_is_refused() {
    let (plane, daemon) = following_list_of(KumaVersion::V2_12, 3);
    let endless = Body::Endless(vec![b' '; 1 << 20]);
    plane.answer_http(HttpAnswer::with_body(200, endless));
    let peak = refuses(&plane, &daemon);
    // A buffer that grows by doubling, and its copy.
    assert!(peak <= 3 * 256 + 100, "{peak} MiB");
}
