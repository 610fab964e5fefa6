//! Runs one stage once, at 1,000 targets, for callgrind to count its instructions: `make instructions`.
//!
//! Each stage includes the ones before it, so a stage's own count is the difference of two.

use std::env;
use std::hint::black_box;

use kuma_bench::list::List;
use kuma_bench::stages::{Decoder, compare};

fn main() {
    let list = List::new(1_000);
    let all_changed = List { number: 1, ..list };
    let [first, reordered, other] =
        [(list, 1), (list, 2), (all_changed, 3)].map(|(list, version)| list.to_protobuf(version));
    let stages = ["none", "first", "reordered", "changed", "compare"];
    let wanted = env::args().nth(1);
    let stage = stages.iter().position(|name| Some(*name) == wanted.as_deref());
    let stage = stage.unwrap_or_else(|| panic!("usage: stages {}", stages.join("|")));

    let mut decoder = Decoder::default();
    let before = (stage > 0).then(|| decoder.decode(first));
    let same = (stage > 1).then(|| decoder.decode(reordered));
    let after = (stage > 2).then(|| decoder.decode(other));
    if let (true, Some(before), Some(after)) = (stage > 3, &before, &after) {
        black_box(compare(before, after));
    }
    black_box((before, same, after));
}
