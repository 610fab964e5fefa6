//! Properties that hold for any input at all: the file is one that Prometheus 2 takes, whatever the
//! labels; order and repetition don't matter; both wires mean the same; and the session keeps to its
//! rules. That no bytes at all make it panic is shown by `fuzz/`.
//!
//! Here are the inputs.

mod file;
mod meaning;
mod session;

use kuma_prometheus_sd::mads::api_version::ApiVersion;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::wire::{Pairs, V1, V1Target, V1alpha1};

/// Names that meet each other, names that mean something, and any text at all.
fn name() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "a",
        "a_b",
        "a-b",
        "a.b",
        "1",
        "_1",
        "é",
        "_",
        "__address__",
        "--address--",
        "mesh",
        "service",
        "instance",
        "job",
        "__scheme__",
        "__metrics_path__",
        "dataplane",
        "a\nb",
        // Alike in what is compared as one number.
        "kuma_io_service",
        "kuma_io_service_a",
        "kuma_io_service_b",
        "kuma.io/service",
    ]);
    prop_oneof![known.prop_map(str::to_owned), any::<String>(), "[a-z0-9._/-]{0,6}"]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c]{1,2}", any::<String>()]
}

/// A map has no order, and so neither has what comes over the wire.
fn labels() -> impl Strategy<Value = Pairs> {
    // A name may come twice.
    vec((name(), value()), 0..8)
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "10\\.0\\.0\\.[1-3]:80", any::<String>()]
}

fn v1_target() -> impl Strategy<Value = V1Target> {
    (value(), value(), address(), value(), labels()).prop_map(
        |(name, scheme, address, metrics_path, labels)| V1Target {
            name,
            scheme,
            address,
            metrics_path,
            labels,
        },
    )
}

pub(crate) fn v1() -> impl Strategy<Value = V1> {
    (value(), value(), vec(v1_target(), 0..4), labels())
        .prop_map(|(mesh, service, targets, labels)| V1 { mesh, service, targets, labels })
}

pub(crate) fn v1alpha1() -> impl Strategy<Value = V1alpha1> {
    let target = (labels(), address()).prop_map(|(mut labels, address)| {
        labels.retain(|(name, _)| name != "__address__");
        labels.push(("__address__".to_owned(), address));
        labels
    });
    let target = prop_oneof![target, labels()];
    (value(), vec(target, 0..4), labels()).prop_map(|(name, targets, labels)| V1alpha1 {
        name,
        targets,
        labels,
    })
}

pub(crate) fn api_version() -> impl Strategy<Value = ApiVersion> {
    select(vec![ApiVersion::V1, ApiVersion::V1alpha1])
}

pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
