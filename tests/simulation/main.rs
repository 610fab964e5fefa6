//! A deterministic simulation, from a seed: a model control plane, network, disk and operator do their
//! worst to a daemon in virtual time, and after every step the invariants in `watch/` are checked. The
//! daemon is the program's own code but for its effects: both state machines, what runs them, and the
//! channel between them.
//!
//! `SIMULATION_SEEDS=N` plays N stories instead of the usual ones; `SIMULATION_SEED=S` plays one
//! and shows its end. A failure names its seed.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod control_plane;
mod daemon;
mod disk;
mod fault;
mod fault_schedule;
mod faulty;
mod list;
mod network;
mod planted;
mod receiver;
mod rng;
mod server;
mod story;
mod watch;
mod world;
mod writer;

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::Duration;

use fault::Fault;
use rng::minutes;
use story::Story;
use watch::{Invariant, Violation};
use world::World;

/// How long a story is.
const LENGTH: Duration = minutes(4 * 60);

/// How many stories the ordinary tests play.
const STORIES: u64 = 500;

/// Seeds beyond those of the ordinary tests that once found something, each with what that was.
const REGRESSIONS: &[(u64, &str)] = &[
    (689, "a file that was removed while its flush was repeated was not looked at for too long"),
    (3258, "a flush was forgotten when the write of a newer list failed before it was repeated"),
];

/// Plays the story of a seed.
fn play(seed: u64, fault: Option<Fault>) -> Result<(), Violation> {
    let mut world = World::new(seed, fault, Story::new(false));
    let played = catch_unwind(AssertUnwindSafe(|| world.play(LENGTH)));
    played.unwrap_or_else(|panic| {
        Err(Violation {
            invariant: Invariant::NoPanic,
            at: world.now,
            words: panic_in_words(&*panic),
        })
    })
}

/// Plays it again, and shows how it ends.
fn replay(seed: u64, fault: Option<Fault>) -> String {
    let mut world = World::new(seed, fault, Story::new(true));
    let played = catch_unwind(AssertUnwindSafe(|| world.play(LENGTH)));
    let end = match played {
        Ok(Ok(())) => "all is well".to_owned(),
        Ok(Err(violation)) => violation.to_string(),
        Err(panic) => panic_in_words(&*panic),
    };
    format!("{}{end}", world.story)
}

fn panic_in_words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a panic: {}", words.unwrap_or_default())
}

#[track_caller]
fn assert_is_well(seed: u64) {
    if let Err(violation) = play(seed, None) {
        panic!(
            "{violation}\n\n{}\n\nTo play it again: SIMULATION_SEED={seed} cargo test --test \
             simulation every_story -- --nocapture",
            replay(seed, None)
        );
    }
}

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}={value} is no number"),
    }
}

#[test]
fn every_story_keeps_all_invariants() {
    if let Some(seed) = from_environment("SIMULATION_SEED") {
        println!("{}", replay(seed, None));
        assert_is_well(seed);
        return;
    }
    let stories = from_environment("SIMULATION_SEEDS").unwrap_or(STORIES);
    for seed in 0..stories {
        assert_is_well(seed);
    }
    let hours = LENGTH.as_secs() * stories / 3600;
    println!("{hours} hours in {stories} stories, seeds 0 to {}", stories.saturating_sub(1));
}

#[test]
fn stories_that_once_found_something_are_well() {
    for (seed, _) in REGRESSIONS {
        assert_is_well(*seed);
    }
}
