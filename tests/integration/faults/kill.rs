//! The daemon is killed at random moments while it replaces its file as often as it may. After each
//! kill the file is exactly one of the lists that were sent, a reader has seen nothing else, and
//! the next start removes what the killed one left behind.
//!
//! `KILLS=…` says how many times, `KILL_SEED=…` repeats the moments of an earlier run.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use kuma_stand_in::{ControlPlane, KumaVersion};

use crate::support::command::from_environment;
use crate::support::files::leftovers;
use crate::support::harness::{Launch, read_if_there};
use crate::support::lists;
use crate::support::reader::Reader;

/// As many as an ordinary run has time for.
const KILLS: u32 = 150;

/// Enough targets that writing them takes a while.
const TARGETS: usize = 300;

/// So many different lists are sent, again and again.
const LISTS: usize = 20;

const PUBLISHING_INTERVAL: Duration = Duration::from_millis(5);

/// The longest time to the kill, from the start or from the first write: some replacements.
const LONGEST_LIFE: Duration = Duration::from_millis(200);

#[test]
fn killed_at_any_moment_it_leaves_a_complete_list() {
    let kills = from_environment("KILLS").unwrap_or(KILLS);
    let seed = from_environment("KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("KILL_SEED={seed} KILLS={kills}");
    let mut rng = fastrand::Rng::with_seed(seed);

    let plane = ControlPlane::start(KumaVersion::V2_6);
    let meshes: Vec<_> = (0..LISTS).map(|number| lists::list(number, TARGETS)).collect();
    let files: BTreeSet<String> = (0..LISTS).map(|number| lists::file(number, TARGETS)).collect();
    plane.publish(&meshes[0]);
    let launch = Launch::follow(&plane.grpc_url()).argument("--log-level=info");
    let daemon = launch.start();
    daemon.wait_for_file(&lists::file(0, TARGETS));
    daemon.kill();

    let reader = Reader::start(launch.output_path());
    let start = Instant::now();
    let killed = thread::scope(|scope| {
        let killer = scope.spawn(|| kill(&launch, &files, kills, &mut rng));
        for mesh in meshes.iter().cycle() {
            if killer.is_finished() {
                break;
            }
            plane.publish(mesh);
            thread::sleep(PUBLISHING_INTERVAL);
        }
        killer.join().expect("its story is above")
    });
    let seen = reader.finish();
    println!(
        "{kills} kills in {:?}: {} times the file had changed before, {} times a temporary file \
         was left; a reader saw {} changes",
        start.elapsed(),
        killed.after_a_change,
        killed.with_leftovers,
        seen.lists.len()
    );
    assert!(killed.after_a_change > kills / 10, "most died before they wrote");

    // Whatever the last one left behind: the next start makes it well.
    let daemon = launch.start();
    plane.publish(&meshes[0]);
    daemon.wait_for_file(&lists::file(0, TARGETS));
    daemon.terminate();
    assert_eq!(leftovers(launch.folder()), [""; 0]);
}

/// How often a kill came at a moment of interest.
#[derive(Default)]
struct Killed {
    after_a_change: u32,
    with_leftovers: u32,
}

fn kill(launch: &Launch, files: &BTreeSet<String>, kills: u32, rng: &mut fastrand::Rng) -> Killed {
    let mut killed = Killed::default();
    let mut last = read_if_there(launch.output_path());
    for kill in 1..=kills {
        let old = leftovers(launch.folder());
        killed.with_leftovers += u32::from(!old.is_empty());
        let daemon = launch.start();
        // The lock is held and leftovers are gone before this is logged.
        daemon.wait_for_log(" follows ");
        let mut still_there = leftovers(launch.folder());
        still_there.retain(|name| old.contains(name));
        assert!(still_there.is_empty(), "kill {kill}: {still_there:?}");
        let (outlives_a_write, life) = (rng.bool(), LONGEST_LIFE.mul_f64(rng.f64()));
        if outlives_a_write {
            daemon.wait_for_log(" wrote ");
        }
        thread::sleep(life);
        daemon.kill();
        let file = read_if_there(launch.output_path());
        let is_list = file.as_ref().is_some_and(|file| files.contains(file));
        assert!(is_list, "kill {kill}: the file is no list: {file:?}");
        killed.after_a_change += u32::from(file != last);
        last = file;
    }
    killed
}
