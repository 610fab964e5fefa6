//! The daemon is killed at random moments while it replaces its file as often as it may. After each
//! kill the file is exactly one of the lists that were sent, a reader has seen nothing else, and
//! the next start removes what the killed one left behind.
//!
//! `KILLS=…` says how many times, `KILL_SEED=…` repeats the moments of an earlier run.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, Kuma};

use crate::harness::{Launch, read_if_there};
use crate::lists;
use crate::reader::Reader;

/// As many as an ordinary run has time for.
const KILLS: u32 = 300;

/// Enough targets that writing them takes a while.
const TARGETS: usize = 300;

/// So many different lists are sent, again and again.
const LISTS: usize = 20;

/// The longest time from the start to the kill: some replacements.
const LONGEST_LIFE: Duration = Duration::from_millis(200);

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn leftovers(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder can be listed");
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".tmp"))
        .collect()
}

#[test]
fn killed_at_any_moment_it_leaves_a_complete_list() {
    let kills = from_environment("KILLS").unwrap_or(KILLS);
    let seed = from_environment("KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("KILL_SEED={seed} KILLS={kills}");
    let mut dice = fastrand::Rng::with_seed(seed);

    let plane = ControlPlane::start(Kuma::V2_6);
    let meshes: Vec<_> = (0..LISTS).map(|number| lists::list(number, TARGETS)).collect();
    let files: BTreeSet<String> = (0..LISTS)
        .map(|number| lists::file(number, TARGETS))
        .collect();
    plane.publish(&meshes[0]);
    let launch = Launch::follow(&plane.grpc_url()).argument("--log-level=info");
    let daemon = launch.start();
    daemon.wait_for_file(&lists::file(0, TARGETS));
    daemon.kill();

    let is_over = AtomicBool::new(false);
    let (mut with_leftovers, mut changed) = (0, 0);
    let published = AtomicUsize::new(0);
    let reader = Reader::start(launch.output_path());
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for mesh in meshes.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                plane.publish(mesh);
                published.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let end = EndOnDrop(&is_over);
        let mut last = read_if_there(launch.output_path());
        for kill in 1..=kills {
            let old = leftovers(launch.folder());
            with_leftovers += u32::from(!old.is_empty());
            let daemon = launch.start();
            // The lock is held and leftovers are gone before this is told.
            daemon.wait_for_log(" follows ");
            let still_there: Vec<_> = leftovers(launch.folder())
                .intersection(&old)
                .cloned()
                .collect();
            assert!(still_there.is_empty(), "kill {kill}: {still_there:?}");
            thread::sleep(LONGEST_LIFE.mul_f64(dice.f64()));
            daemon.kill();
            let file = read_if_there(launch.output_path());
            let is_list = file.as_ref().is_some_and(|file| files.contains(file));
            assert!(is_list, "kill {kill}: the file is no list: {file:?}");
            changed += u32::from(file != last);
            last = file;
        }
        drop(end);
    });
    let seen = reader.finish();
    println!(
        "{kills} kills in {:?}: {changed} times the file had changed before, {with_leftovers} \
         times a temporary file was left; {published:?} lists published, a reader saw {} changes",
        start.elapsed(),
        seen.lists.len()
    );
    assert!(changed > kills / 10, "most were killed before they wrote");

    // Whatever the last one left behind: the next start makes it well.
    let daemon = launch.start();
    plane.publish(&meshes[0]);
    daemon.wait_for_file(&lists::file(0, TARGETS));
    daemon.terminate();
    assert_eq!(leftovers(launch.folder()), BTreeSet::new());
}

/// Ends the publisher also where the test fails.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
