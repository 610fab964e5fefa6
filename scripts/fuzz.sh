#!/usr/bin/env bash
# Fuzzes each target of fuzz/ for FUZZ_SECONDS, from what real control planes have sent and what
# earlier runs have found. Stops at the first failure.
#
# It needs no nightly compiler: a stable one can count the branches for libFuzzer too. What only a
# nightly one has, the address sanitizer, has little to find in a program without `unsafe`.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/fuzz
machine=$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes to the compiler. Build scripts, which have no fuzzer, get none of it, as Cargo
# is given a target.
export RUSTFLAGS="--cfg fuzzing -C passes=sancov-module
    -C llvm-args=-sanitizer-coverage-level=4 -C llvm-args=-sanitizer-coverage-inline-8bit-counters
    -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The captured messages for a target, each in a file: responses in base64, or bodies as they are.
make_corpus() { # CAPTURE FOLDER
    local capture message number=0
    mkdir -p "$2"
    for capture in tests/captures/*/"$1"; do
        for message in $(jq -r '.[] | .response // (.body | @base64)' "$capture"); do
            number=$((number + 1))
            base64 -d <<<"$message" >"$2/captured-$number"
        done
    done
}

fuzz() { # TARGET CAPTURE
    local corpus=fuzz/corpus/$1 artifacts=fuzz/artifacts/$1/
    make_corpus "$2" "$corpus"
    mkdir -p "$artifacts"
    if ! "$CARGO_TARGET_DIR/$machine/debug/$1" "$corpus" -artifact_prefix="$artifacts" \
        -max_total_time="$seconds" -print_final_stats=1 >"$log" 2>&1; then
        tail -n 100 "$log"
        echo "fuzz: $1 failed; the input is in $artifacts" >&2
        exit 1
    fi
    echo "fuzz: $1 passed: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s," \
        "from $(sed -n 's/^INFO: seed corpus: files: \([0-9]*\) .*/\1/p' "$log")"
}

"${CARGO:-cargo}" build --locked --manifest-path fuzz/Cargo.toml --target "$machine"
fuzz grpc_v1 grpc-v1.json
fuzz grpc_v1alpha1 grpc-v1alpha1.json
fuzz http http.json
fuzz api_server api-server.json
