#!/usr/bin/env bash
# Checks the alerting rules and the queries of the dashboard in docs/, and that each alert fires when it
# should and else is silent. Started by `make rules`, which installs what this needs.
set -euo pipefail
cd "$(dirname "$0")/../.."

unpacked=${CARGO_TARGET_DIR:-target}/prometheus/usr/bin
promtool_program=$(command -v promtool || echo "$unpacked/promtool")

"$promtool_program" check rules docs/prometheus-rules.yml
"$promtool_program" test rules tests/rules/prometheus-rules.test.yml

# The queries of the dashboard, as rules; where it asks for the interval, any will do.
queries=$(mktemp)
trap 'rm -f "$queries"' EXIT
jq '{groups: [{name: "dashboard", rules: [.panels[].targets[].expr
    | {record: "dashboard:query", expr: gsub("\\$__rate_interval"; "5m")}]}]}' docs/grafana-dashboard.json >"$queries"
"$promtool_program" check rules --lint=none "$queries"
