#!/usr/bin/env bash
# Runs tests; those under real faults beside all others, as both wait most of the time. In one run they
# would come all at once, and the ones that need the processor would make each other late.
# usage: scripts/test.sh CARGO-TEST-FLAG... [-- TEST-FLAG...]
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_test() {
    "${CARGO:-cargo}" test --workspace --locked "$@"
}

which=()
while (($#)) && [[ $1 != -- ]]; do
    which+=("$1")
    shift
done

cargo_test --no-run "${which[@]}"
log=$(mktemp)
cargo_test --test integration -- faults:: >"$log" 2>&1 &
faults=$!
trap 'kill "$faults" 2>/dev/null || true; rm -f "$log"' EXIT

status=0
cargo_test "${which[@]}" -- --skip faults:: "${@:2}" || status=$?
wait "$faults" || status=$?
cat "$log"
exit "$status"
