#!/usr/bin/env bash
# Runs tests; those under real faults beside all others, as both wait most of the time.
# usage: scripts/test.sh all | NAME...     NAME is a folder of tests/
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_test() {
    "${CARGO:-cargo}" test --workspace --locked "$@"
}

others=()
if [[ $* == all ]]; then
    others=(--lib --bins --examples)
    set -- tests/*/main.rs stand-in/tests/*.rs
    set -- "${@%/main.rs}"
    set -- "${@##*/}"
    set -- "${@%.rs}"
fi
for name; do
    [[ $name == faults ]] || others+=(--test "$name")
done

cargo_test --no-run "${others[@]}" --test faults
log=$(mktemp)
cargo_test --test faults >"$log" 2>&1 &
faults=$!
trap 'kill "$faults" 2>/dev/null || true; rm -f "$log"' EXIT

status=0
cargo_test "${others[@]}" || status=$?
wait "$faults" || status=$?
cat "$log"
exit "$status"
