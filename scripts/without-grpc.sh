#!/usr/bin/env bash
# Checks the daemon without the feature `grpc`: clippy with warnings denied, and the HTTP part of the
# contract, of which the tests are the ordinary ones and need not be built again.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
target_folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# As `make build` has it, but for the feature: then all dependencies are built already.
what=(--workspace --locked --no-default-features --bins --examples)

"$cargo" clippy "${what[@]}" -- -D warnings
"$cargo" build "${what[@]}"
# Building the tests puts the daemon with gRPC back into its place.
daemon=$target_folder/without-grpc/kuma-prometheus-sd
install -D "$target_folder/debug/kuma-prometheus-sd" "$daemon"
"$daemon" version --detailed | grep -x 'transports: *HTTP'

export RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
KUMA_PROMETHEUS_SD_BINARY=$daemon "$cargo" test --workspace --locked --tests contract::http | tee "$log"
# A filter that matches nothing passes.
grep -q '^test .*contract::http::.* ok$' "$log" && grep -q '^test .*contract::https::.* ok$' "$log" || {
    echo "without-grpc: no test of the HTTP contract was run" >&2
    exit 1
}
