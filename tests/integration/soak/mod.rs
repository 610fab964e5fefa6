//! A soak: the real binary under random pushes, outages, upgrades and disk faults, from a seed.
//! Again and again everything is healed, and then the file must be what the control plane last
//! said. At the end a table tells what happened and what it took.
//!
//! `make soak MINUTES=…` runs it; `SOAK_SEED=…` plays the story of an earlier run again, as far as
//! the clock of another run allows.

mod disk;
mod story;
mod table;

use std::time::{Duration, Instant};

use disk::Disk;
use story::Story;

use crate::support::command::from_environment;
use crate::support::own_process;

/// So many random steps lie between two times of calm.
const STEPS: u32 = 25;

#[test]
#[ignore = "it takes as long as it is told to: make soak MINUTES=…"]
fn the_file_follows_the_control_plane_through_everything() {
    let test = the_file_follows_the_control_plane_through_everything;
    let Some(disk) = own_process::with_disk("16m", test) else {
        return;
    };
    let minutes: f64 = from_environment("SOAK_MINUTES").unwrap_or(1.0);
    let seed = from_environment("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("SOAK_SEED={seed} SOAK_MINUTES={minutes}");

    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut story = Story::begin(seed, Disk::new(disk));
    while Instant::now() < end {
        for _ in 0..STEPS {
            story.step();
        }
        story.calm();
    }
    let table = story.end();
    println!("{table}");
    table.assert_within_bounds();
}
