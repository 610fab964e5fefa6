//! Micro-benchmarks of decode and compare: `make micro-bench`.

use divan::Bencher;
use divan::counter::BytesCount;
use kuma_bench::list::List;
use kuma_bench::stages::{Decoder, compare};

const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    divan::main();
}

/// A first list: each target is new.
#[divan::bench(args = SIZES)]
fn first(bencher: Bencher<'_, '_>, targets: usize) {
    let message = List::new(targets).to_protobuf(1);
    bencher
        .counter(BytesCount::of_slice(&message))
        .with_inputs(|| (Decoder::default(), message.clone()))
        .bench_values(|(mut decoder, message)| (decoder.decode(message), decoder));
}

/// The same list in another order.
#[divan::bench(args = SIZES)]
fn reordered(bencher: Bencher<'_, '_>, targets: usize) {
    again(bencher, targets, List::new(targets));
}

/// A list of which one target has changed.
#[divan::bench(args = SIZES)]
fn one_changed(bencher: Bencher<'_, '_>, targets: usize) {
    let list = List::new(targets);
    again(bencher, targets, List { first: 1, ..list });
}

fn again(bencher: Bencher<'_, '_>, targets: usize, list: List) {
    let (first, then) = (List::new(targets).to_protobuf(1), list.to_protobuf(2));
    bencher
        .counter(BytesCount::of_slice(&then))
        .with_inputs(|| {
            let mut decoder = Decoder::default();
            decoder.decode(first.clone());
            (decoder, then.clone())
        })
        .bench_values(|(mut decoder, message)| (decoder.decode(message), decoder));
}

/// One target changed.
#[divan::bench(args = SIZES)]
fn compared(bencher: Bencher<'_, '_>, targets: usize) {
    let list = List::new(targets);
    let [before, after] = [list, List { first: 1, ..list }]
        .map(|list| Decoder::default().decode(list.to_protobuf(1)));
    bencher.counter(BytesCount::of_slice(after.bytes())).bench(|| compare(&before, &after));
}
