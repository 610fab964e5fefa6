//! Generates this crate's own Rust types from the project's `proto/`.

use protobuf_codegen::Codegen;

fn main() {
    let protos =
        ["../proto/discovery.proto", "../proto/mads_v1.proto", "../proto/mads_v1alpha1.proto"];
    for proto in protos {
        println!("cargo::rerun-if-changed={proto}");
    }
    Codegen::new()
        .pure()
        .include("../proto")
        .inputs(protos)
        .cargo_out_dir("proto")
        .run_from_script();
}
