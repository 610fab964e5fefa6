# shellcheck shell=sh
# The oldest Rust that Cargo.toml promises to build with, and where it is. To be sourced, also by the
# plainest sh.

minimum_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# Where it is unpacked on a machine without rustup.
minimum_rust_folder=${CARGO_TARGET_DIR:-target}/rust-$minimum_rust

# Finds it, and sets `minimum_rust_programs`, the folder of its cargo and rustc.
# shellcheck disable=SC2034 # for whoever asked
find_minimum_rust() {
    minimum_rustc=$(rustup which --toolchain "$minimum_rust.0" rustc 2>/dev/null) ||
        minimum_rustc=$minimum_rust_folder/bin/rustc
    minimum_rust_programs=${minimum_rustc%/*}
    [ -x "$minimum_rustc" ]
}
