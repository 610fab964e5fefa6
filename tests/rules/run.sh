#!/usr/bin/env bash
# Checks the alerting rules of docs/, and that each alert fires when it should and else is silent.
# Started by `make rules`, which installs what this needs.
set -euo pipefail
cd "$(dirname "$0")/../.."

unpacked=${CARGO_TARGET_DIR:-target}/prometheus/usr/bin
promtool_program=$(command -v promtool || echo "$unpacked/promtool")

"$promtool_program" check rules docs/prometheus-rules.yml
"$promtool_program" test rules tests/rules/prometheus-rules.test.yml
