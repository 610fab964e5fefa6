//! The real binary under real faults: what each costs, what a reader of the file sees meanwhile, and
//! that it passes. `RELIABILITY.md` lists them all.

mod away;
mod bad_answers;
mod bounds;
mod clock;
mod disk;
mod first_process;
mod fleet;
mod flood;
mod flushing;
mod hanging;
mod hostile_text;
mod kill;
mod name_resolution;
mod oversized_response;
mod reconnects;
mod several_addresses;
mod sighup;
mod starving;
mod suspend;
