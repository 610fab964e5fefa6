//! Generates the Rust types of requests from `proto/` with the pure-Rust generator, so that no `protoc` is needed,
//! and notes how the binary is built, for `version --detailed`.

use std::env;
use std::process::Command;

use protobuf_codegen::{Codegen, Customize};

fn main() {
    generate_wire_types();
    note_how_it_is_built();
}

fn generate_wire_types() {
    let proto = "proto/discovery.proto";
    println!("cargo::rerun-if-changed={proto}");
    // `lite_runtime`: nothing here looks at messages by reflection.
    Codegen::new()
        .pure()
        .include("proto")
        .input(proto)
        .customize(Customize::default().lite_runtime(true))
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
    println!("cargo::rustc-env=KUMA_PROMETHEUS_SD_TARGET={}", variable("TARGET"));
    println!("cargo::rustc-env=KUMA_PROMETHEUS_SD_PROFILE={}", variable("PROFILE"));
    println!("cargo::rustc-env=KUMA_PROMETHEUS_SD_COMPILER={compiler}");
}
