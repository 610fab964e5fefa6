//! A thousand lists a second: all different, or all the same. The file changes ten times a second
//! at most, a reader sees nothing but whole lists in the order in which they were sent, the newest
//! comes last, and log and memory stay small.

use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, Event};

use crate::support::following::{following_list_of, over_both_transports};
use crate::support::harness::Daemon;
use crate::support::lists;
use crate::support::observe::{expect_settled, written};
use crate::support::process::Figures;
use crate::support::reader::Reader;

/// The time between two lists.
const INTERVAL: Duration = Duration::from_millis(1);

const DURATION: Duration = Duration::from_secs(4);

const TARGETS: usize = 30;

/// Lines at the level info for a flood of that duration: ten writes are logged, then one in 6 s.
const LINES: usize = 15;

/// What C-core and the allocator keep for themselves.
const MEMORY_KIB: u64 = 32 << 10;

/// Publishes lists from 2 on for a while, and returns the last one's number.
fn publish_for_a_while(mut publish: impl FnMut(usize)) -> usize {
    let start = Instant::now();
    let mut number = 1;
    while start.elapsed() < DURATION {
        number += 1;
        publish(number);
        let next = start + INTERVAL * u32::try_from(number).expect("some thousands");
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    number
}

fn assert_small(daemon: &Daemon, before: Figures, lines: usize) {
    let after = daemon.figures();
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    let told = daemon.log().lines().count() - lines;
    let cpu = after.cpu - before.cpu;
    println!("{told} lines, {grown} KiB, {cpu:?} of processor time");
    assert!(grown <= MEMORY_KIB, "{grown} KiB more");
    assert!(told <= LINES, "{}", daemon.log());
}

fn accepted(plane: &ControlPlane) -> usize {
    let is_request = |event: &&Event| matches!(event, Event::Request(_));
    plane.events().seen().iter().filter(is_request).count()
}

#[test]
fn a_thousand_different_lists_a_second_change_the_file_ten_times_a_second() {
    over_both_transports(|kuma| {
        let (plane, daemon) = following_list_of(kuma, TARGETS);
        let reader = Reader::start(daemon.output_path());
        let lines = daemon.log().lines().count();
        let before = daemon.figures();
        let start = Instant::now();
        let last = publish_for_a_while(|number| plane.publish(&lists::list(number, TARGETS)));
        daemon.wait_for_file(&lists::file(last, TARGETS));
        let tenths = start.elapsed().as_millis() / 100;
        let seen = reader.finish();
        println!(
            "{kuma}: {last} lists published, {} requests, {} lists seen",
            accepted(&plane),
            seen.lists.len()
        );
        assert!(seen.lists.is_sorted(), "{:?}", seen.lists);
        assert!(seen.lists.len() as u128 <= tenths + 2, "{:?}", seen.lists);
        assert_eq!(seen.lists.last(), Some(&last));
        assert_small(&daemon, before, lines);
    });
}

#[test]
fn a_thousand_equal_lists_a_second_change_nothing() {
    over_both_transports(|kuma| {
        let (plane, daemon) = following_list_of(kuma, TARGETS);
        let lines = daemon.log().lines().count();
        let before = (written(daemon.output_path()), daemon.figures());
        // Another version and another order each time.
        let last = publish_for_a_while(|_| plane.publish(&lists::list(1, TARGETS)));
        plane.events().discard();
        plane.publish(&lists::list(1, TARGETS));
        expect_settled(&plane);
        assert_eq!(written(daemon.output_path()), before.0, "{kuma}");
        println!("{kuma}: {last} lists published, {} requests", accepted(&plane));
        assert_small(&daemon, before.1, lines);
    });
}
