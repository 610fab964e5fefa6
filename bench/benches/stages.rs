//! Micro-benchmarks of decode, render and compare: `make micro-bench`.

use divan::Bencher;
use divan::counter::BytesCount;
use kuma_bench::list::List;
use kuma_bench::stages;

const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn decode(bencher: Bencher<'_, '_>, targets: usize) {
    let message = List::new(targets).to_protobuf(1);
    bencher
        .counter(BytesCount::of_slice(&message))
        .with_inputs(|| message.clone())
        .bench_values(stages::decode);
}

#[divan::bench(args = SIZES)]
fn render(bencher: Bencher<'_, '_>, targets: usize) {
    let targets = stages::decode(List::new(targets).to_protobuf(1));
    let file = stages::render(&targets);
    bencher
        .counter(BytesCount::of_slice(file.bytes()))
        .bench(|| stages::render(&targets));
}

/// One target changed.
#[divan::bench(args = SIZES)]
fn compare(bencher: Bencher<'_, '_>, targets: usize) {
    let list = List::new(targets);
    let [before, after] = [list, List { first: 1, ..list }]
        .map(|list| stages::render(&stages::decode(list.to_protobuf(1))));
    bencher
        .counter(BytesCount::of_slice(after.bytes()))
        .bench(|| stages::compare(&before, &after));
}
