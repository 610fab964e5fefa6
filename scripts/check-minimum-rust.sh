#!/usr/bin/env bash
# Checks the daemon with the oldest Rust that Cargo.toml promises to build with. gRPC is left out, as
# its C++ takes minutes. What only gRPC's Rust code could use of a newer standard library is found by
# clippy's `incompatible_msrv`, and a newer Rust that a dependency asks for by tests/integration/repository.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/minimum-rust.sh

if ! find_minimum_rust; then
    echo "check-minimum-rust: Rust $minimum_rust.0 is not here; run \`scripts/prerequisites.sh minimum-rust\`" >&2
    exit 1
fi
export PATH=$minimum_rust_programs:$PATH
exec env -u RUSTC "$minimum_rust_programs/cargo" check --locked --no-default-features
