//! The real binary under real faults: of the control plane, the network, the disk and the process
//! itself. What each costs, what a reader of the file sees meanwhile, and that it passes.
//!
//! `RELIABILITY.md` lists them all. Where a machine forbids a fault, such as mounting a small disk,
//! its test says so and returns; with `REQUIRE_ALL_TESTS` set, it fails.

#[path = "../daemon/harness.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod harness;
#[path = "../daemon/mesh.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod mesh;
#[path = "../common/not_tried.rs"]
mod not_tried;
#[path = "../daemon/notify.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod notify;
#[path = "../daemon/streams.rs"]
#[allow(dead_code, reason = "tests/daemon uses the rest of it")]
mod streams;

mod asleep;
mod away;
mod bad_answers;
mod bounds;
mod clock;
mod disk;
mod first_process;
mod fleet;
mod flood;
mod flushing;
mod following;
mod giant;
mod hanging;
mod hostile_text;
mod kill;
mod lists;
mod name_server;
mod names;
mod namespace;
mod observe;
mod process;
mod reader;
mod reconnects;
mod several_addresses;
mod sighup;
mod starving;
