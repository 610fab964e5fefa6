//! Generates the Rust types of `proto/` with the pure-Rust generator, so that no `protoc` is needed,
//! and notes how the binary is built, for `version --detailed`.

use std::env;
use std::process::Command;

use protobuf_codegen::{Codegen, Customize};

fn main() {
    generate_wire_types();
    note_how_it_is_built();
}

fn generate_wire_types() {
    let protos = [
        "proto/discovery.proto",
        "proto/mads_v1.proto",
        "proto/mads_v1alpha1.proto",
    ];
    for proto in protos {
        println!("cargo::rerun-if-changed={proto}");
    }
    // `tokio_bytes`: the resources of a response stay slices of the message they came in.
    // `lite_runtime`: nothing here looks at messages by reflection.
    Codegen::new()
        .pure()
        .include("proto")
        .inputs(protos)
        .customize(Customize::default().tokio_bytes(true).lite_runtime(true))
        .cargo_out_dir("proto")
        .run_from_script();
}

fn note_how_it_is_built() {
    let variable = |name| env::var(name).unwrap_or_default();
    let compiler = Command::new(variable("RUSTC")).arg("--version").output();
    let compiler = compiler.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    println!(
        "cargo::rustc-env=KUMA_PROMETHEUS_SD_TARGET={}",
        variable("TARGET")
    );
    println!(
        "cargo::rustc-env=KUMA_PROMETHEUS_SD_PROFILE={}",
        variable("PROFILE")
    );
    println!("cargo::rustc-env=KUMA_PROMETHEUS_SD_COMPILER={compiler}");
}
