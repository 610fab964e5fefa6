//! Runs one stage once, at 1,000 targets, for callgrind to count its instructions: `make instructions`.
//!
//! Each stage includes the ones before it, so a stage's own count is the difference of two.

use std::env;
use std::hint::black_box;

use kuma_bench::list::List;
use kuma_bench::stages;

fn main() {
    let message = List::new(1_000).to_protobuf(1);
    match env::args().nth(1).as_deref() {
        Some("none") => drop(black_box(message)),
        Some("decode") => drop(black_box(stages::decode(message))),
        Some("render") => drop(black_box(stages::render(&stages::decode(message)))),
        _ => panic!("usage: stages none|decode|render"),
    }
}
