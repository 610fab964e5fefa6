#!/usr/bin/env bash
# Measures the static binary: `make bench` has built it. With some sizes only, as CI has it, for trying:
# the results stay below the target folder, and what is checked in stays as it is.
#
# usage: scripts/bench.sh TARGET [SIZE,SIZE,…]
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?a target, such as x86_64-unknown-linux-musl}
sizes=${2:-}
scripts/static-build.sh "$target" kuma-bench
bench=$(scripts/static-build.sh --path "$target" kuma-bench)
# Below the target folder, as a disk is wanted: /tmp may be memory.
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/bench
mkdir -p "$folder"
arguments=(--program "$(scripts/static-build.sh --path "$target")" --folder "$folder")
if [[ -n $sizes ]]; then
    exec "$bench" "${arguments[@]}" --results "$folder/results.json" --chart "$folder/performance.svg" \
        --sizes "$sizes" --idle 5
fi
exec "$bench" "${arguments[@]}" --results bench/results.json --chart docs/performance.svg
