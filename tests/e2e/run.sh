#!/usr/bin/env bash
# A real Prometheus follows the daemon's file while a control plane's dataplanes come, change and go, and
# scrapes a mesh with the configuration of docs/prometheus.yml. Started by `make e2e`, which builds and
# installs what this needs. All of it listens on the loopback only, on ports that the kernel picks, and
# scrapes nothing but that.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/processes.sh

built=${CARGO_TARGET_DIR:-target}/debug
unpacked=${CARGO_TARGET_DIR:-target}/prometheus/usr/bin
# Prometheus passes changes of its targets on every 5 s at most; a slow machine may take longer.
deadline=30

folder=$(mktemp -d)
dataplanes=$folder/dataplanes.json
output=$folder/kuma.file_sd.json
passed=0
failed=0
control_plane=
daemon=
prometheus=
prometheus_url=
metrics_servers=

finish() {
    local status=$? pid
    trap '' INT TERM
    for pid in $prometheus $daemon $control_plane $metrics_servers; do
        stop_process "$pid" || true
    done
    # Ended before its end: the reason stands above, on stderr.
    [[ -n ${finished:-} ]] || failed=$((failed + 1))
    if ((failed > 0)); then
        tail -n 20 "$folder"/*.log >&2 || true
    fi
    rm -rf "$folder"
    echo "$passed passed, $failed failed"
    ((failed == 0)) || exit 1
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
    fi
}

must() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" >/dev/null || {
        echo "e2e: $what did not happen" >&2
        exit 1
    }
}

## The programs

start_control_plane() {
    # It takes commands on stdin. Opened both ways, the pipe needs no second end before it opens,
    # and has no end of file.
    mkfifo "$folder/commands"
    exec {commands}<>"$folder/commands"
    "$built/examples/demo_control_plane" --port 0 --api-port 0 --file "$dataplanes" \
        <"$folder/commands" >"$folder/control-plane.log" 2>&1 &
    control_plane=$!
    must "the control plane's start" \
        wait_until "$deadline" "$control_plane" line_after 'api server: ' "$folder/control-plane.log"
}

tell_control_plane() { # COMMAND
    echo "$1" >&"$commands"
}

start_daemon() { # ADDRESS
    "$built/kuma-prometheus-sd" run "--cp-address=$1" "--output-file=$output" \
        --listen-address=127.0.0.1:0 2>"$folder/daemon.log" &
    daemon=$!
    must "the daemon's first file" wait_until "$deadline" "$daemon" test -e "$output"
}

listener() { # where the daemon listens, with a port
    sed -n 's|.*are served at http://\(.*\)/$|\1|p' "$folder/daemon.log"
}

start_metrics_servers() {
    "$built/examples/metrics_servers" "$folder" >"$folder/metrics-servers.log" 2>&1 &
    metrics_servers=$!
    must "the start of what is scraped" wait_until "$deadline" "$metrics_servers" server "control plane"
}

server() { # WHAT; its address
    line_after "$1: " "$folder/metrics-servers.log"
}

write_prometheus_config() {
    # With a refresh an hour away, what Prometheus knows it knows from the kernel's word that the
    # file was replaced.
    cat >"$folder/prometheus.yml" <<YAML
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: kuma
    # For Prometheus' own /federate, where that is among the targets.
    params: {'match[]': [up]}
    relabel_configs:
      - {target_label: has_labeldrop, replacement: "no"}
    file_sd_configs:
      - files: [$output]
        refresh_interval: 1h
  - job_name: kuma-with-labeldrop
    params: {'match[]': [up]}
    relabel_configs:
      - {target_label: has_labeldrop, replacement: "yes"}
    file_sd_configs:
      - files: [$output]
        refresh_interval: 1h
$(labeldrop_of_the_guide)
  - job_name: kuma-by-http
    http_sd_configs:
      - url: http://$(listener)/targets
        refresh_interval: 1s
  - job_name: kuma-prometheus-sd
    static_configs:
      - targets: [$(listener)]
$(jobs_of_the_documented_configuration)
YAML
}

# With this machine's names and paths in place of the documented ones.
jobs_of_the_documented_configuration() {
    sed -n '/^scrape_configs:/,$ { /^scrape_configs:/!p }' docs/prometheus.yml |
        sed -e "s|/var/lib/kuma-prometheus-sd/kuma.file_sd.json|$output|" \
            -e "s|/etc/prometheus/kuma-metrics-ca.pem|$folder/ca.pem|" \
            -e "s|zone-ingress.internal:9901|$(server "zone ingress")|" \
            -e "s|zone-egress.internal:9901|$(server "zone egress")|" \
            -e "s|kuma-control-plane.internal:5680|$(server "control plane")|"
}

labeldrop_of_the_guide() {
    sed -n '/^ *metric_relabel_configs:/,/^```/ { /^```/!p }' docs/operators-guide.md
}

prometheus_address() {
    sed -n 's/.*msg="Listening on" address=//p' "$folder/prometheus.log" | grep .
}

start_prometheus() {
    # In UTC, so that its times compare as text.
    TZ=UTC "$prometheus_program" --config.file="$folder/prometheus.yml" \
        --storage.tsdb.path="$folder/prometheus-data" --web.listen-address=127.0.0.1:0 \
        >"$folder/prometheus.log" 2>&1 &
    prometheus=$!
    must "Prometheus's start" wait_until "$deadline" "$prometheus" prometheus_address
    prometheus_url=http://$(prometheus_address)
}

## What is asked

set_dataplanes() { # JSON
    # By renaming, so that the control plane never reads half a file.
    echo "$1" >"$dataplanes.new"
    mv "$dataplanes.new" "$dataplanes"
}

prometheus_says() { # PATH
    curl --silent --fail --max-time 5 --noproxy '*' "$prometheus_url$1"
}

# One line for each target of a job: where it is scraped, and labels that its series get.
targets() { # JOB
    prometheus_says '/api/v1/targets?state=active' | jq -r --arg job "$1" '.data.activeTargets[]
        | select(.scrapePool == $job) | .scrapeUrl |= sub("\\?.*"; "")
        | "\(.scrapeUrl) \(.labels | "\(.mesh) \(.service) \(.job) \(.instance) \(.dataplane) env=\(.env)")"' | sort
}

targets_are() { # LINES
    [[ $(targets kuma) == "$1" && $(targets kuma-by-http) == "$1" ]]
}

targets_become() { # LINES
    wait_until "$deadline" "$prometheus" targets_are "$1" && return
    printf 'wanted:\n%s\nfound by the file:\n%s\nfound over HTTP:\n%s\n' \
        "$1" "$(targets kuma)" "$(targets kuma-by-http)" >&2
    return 1
}

# One line for each target of the documented configuration: its job there, what it is, whether it is
# scraped, and why not.
scraped() {
    prometheus_says '/api/v1/targets?state=active' | jq -r '.data.activeTargets[]
        | select(.scrapePool | IN("kuma-dataplanes", "kuma-zone-proxies", "kuma-control-plane"))
        | "\(.scrapePool) \(.labels.proxy // .labels.dataplane // "itself"): \(.health)"
            + if .lastError == "" then "" else ", " + (.lastError | sub(".*: "; "")) end' | sort
}

scraped_are() { # LINES
    [[ $(scraped) == "$1" ]]
}

scraped_become() { # LINES
    wait_until "$deadline" "$prometheus" scraped_are "$1" && return
    printf 'wanted:\n%s\nfound:\n%s\n' "$1" "$(scraped)" >&2
    return 1
}

scraped_since() { # TIME
    prometheus_says '/api/v1/targets?state=active' |
        jq -e --arg since "$1" '.data.activeTargets | length > 0 and all(.lastScrape > $since)' >/dev/null
}

said_by_daemon() { # WORDS; prints how often
    grep -cF "$1" "$folder/daemon.log" || true
}

daemon_has_said() { # WORDS TIMES
    (($(said_by_daemon "$1") >= $2))
}

# Runs a command, and waits until the daemon has said something once more than before it.
daemon_says_after() { # WORDS COMMAND...
    local words=$1 times
    shift
    times=$(($(said_by_daemon "$words") + 1))
    "$@"
    must "the daemon's '$words'" wait_until 60 "$daemon" daemon_has_said "$words" "$times"
}

# The names of the labels that the series of a selector have.
labels_of_series() { # SELECTOR
    curl --silent --fail --max-time 5 --noproxy '*' --get --data-urlencode "match[]=$1" \
        "$prometheus_url/api/v1/series" | jq -r '.data[] | keys[]' | sort -u
}

series_have_label() { # SELECTOR NAME
    labels_of_series "$1" | grep -x "$2" >/dev/null
}

series_have_no_label() { # SELECTOR NAME
    ! series_have_label "$1" "$2"
}

promtool_accepts() { # CONFIGURATION
    local said
    said=$("$promtool_program" check config "$1" 2>&1) || {
        echo "$said" >&2
        return 1
    }
}

# The labels `control_plane` that the guide's configuration gives the lists of two instances.
control_planes_of_the_guide() {
    local instance
    mkdir -p "$folder/several"
    for instance in east west; do
        cp "$output" "$folder/several/$instance.file_sd.json"
    done
    sed -n '/^## Several control planes/,/^## [^S]/p' docs/operators-guide.md |
        sed -n '/^scrape_configs:/,/^```/ { /^```/!p }' |
        sed "s|/var/lib/kuma-prometheus-sd|$folder/several|" >"$folder/several.yml"
    "$promtool_program" check service-discovery --timeout=1s "$folder/several.yml" kuma-dataplanes \
        2>"$folder/promtool.log" |
        jq -r '.[].labels | "\(.control_plane) \(.instance)"' | sort
}

value_is() { # VALUE QUERY
    [[ $(curl --silent --fail --max-time 5 --noproxy '*' --get --data-urlencode "query=$2" \
        "$prometheus_url/api/v1/query" | jq -r '.data.result[].value[1]') == "$1" ]]
}

promtool_accepts_the_metrics() {
    local complaints
    complaints=$(curl --silent --fail --max-time 5 --noproxy '*' "http://$(listener)/metrics" |
        "$promtool_program" check metrics 2>&1) || return
    [[ -z $complaints ]] || {
        echo "$complaints" >&2
        return 1
    }
}

has_no_read_errors() {
    # Not `grep -q`, which leaves before it has read everything: its input would fail for that.
    prometheus_says /metrics | grep -x 'prometheus_sd_file_read_errors_total 0' >/dev/null
}

## The story

prometheus_program=$(command -v prometheus || echo "$unpacked/prometheus")
promtool_program=$(command -v promtool || echo "$unpacked/promtool")

check "promtool accepts the documented configuration" promtool_accepts docs/prometheus.yml

set_dataplanes '[]'
start_control_plane
start_metrics_servers
api_server=$(line_after 'api server: ' "$folder/control-plane.log")
start_daemon "$api_server"
check "an empty mesh gives an empty list" test "$(cat "$output")" = "[]"
write_prometheus_config
check "promtool accepts the empty list" promtool_accepts "$folder/prometheus.yml"
start_prometheus

set_dataplanes '[
    {"service": "backend", "name": "backend-01", "address": "127.0.0.1:1", "tags": {"env": "test"}},
    {"service": "web", "name": "web-01", "address": "127.0.0.1:2", "mesh": "other", "metrics_path": "/stats"}
]'
check "targets appear, with address, path and labels" targets_become \
    'http://127.0.0.1:1/metrics default backend backend backend-01 backend-01 env=test
http://127.0.0.1:2/stats other web web web-01 web-01 env=null'
check "promtool accepts the list" promtool_accepts "$folder/prometheus.yml"
check "the guide's configuration tells several control planes apart" \
    test "$(control_planes_of_the_guide)" = "$(printf '%s\n' {east,west}' '{backend,web}-01)"

check "promtool accepts the daemon's metrics" promtool_accepts_the_metrics
check "Prometheus scrapes them" wait_until "$deadline" "$prometheus" \
    value_is 2 'kuma_prometheus_sd_targets{job="kuma-prometheus-sd"}'
check "as counters of OpenMetrics too" wait_until "$deadline" "$prometheus" \
    value_is 2 'kuma_prometheus_sd_file_writes_total{outcome="success"}'

set_dataplanes '[
    {"service": "backend", "name": "backend-01", "address": "127.0.0.1:1", "tags": {"env": "prod"}},
    {"service": "web", "name": "web-01", "address": "127.0.0.1:2", "mesh": "other", "metrics_path": "/stats"}
]'
check "a label changes" targets_become \
    'http://127.0.0.1:1/metrics default backend backend backend-01 backend-01 env=prod
http://127.0.0.1:2/stats other web web web-01 web-01 env=null'

dataplane() { # NAME SCHEME ADDRESS
    printf '{"service": "web", "name": "%s", "scheme": "%s", "address": "%s"}' "$@"
}
set_dataplanes "[
    $(dataplane plain http "$(server "dataplane")"),
    $(dataplane tls https "$(server "https dataplane")"),
    $(dataplane tls-of-another-issuer https "$(server "https dataplane of another issuer")"),
    $(dataplane tls-of-another-name https "$(server "https dataplane of another name")")
]"
check "the documented configuration scrapes dataplanes, zone proxies and the control plane" scraped_become \
    'kuma-control-plane itself: up
kuma-dataplanes plain: up
kuma-dataplanes tls-of-another-issuer: down, certificate signed by unknown authority
kuma-dataplanes tls-of-another-name: down, certificate is valid for other.internal, not kuma-metrics.internal
kuma-dataplanes tls: up
kuma-zone-proxies egress: up
kuma-zone-proxies ingress: up'

# With MeshMetric, series carry labels of their own that the targets have too. So do those of Prometheus' /federate.
set_dataplanes "[
    {\"service\": \"web\", \"name\": \"web-02\", \"address\": \"${prometheus_url#http://}\", \"metrics_path\": \"/federate\"}
]"
federated='{dataplane="web-02",exported_instance!=""'
for label in mesh dataplane service; do
    check "the series' own label $label is renamed" wait_until "$deadline" "$prometheus" \
        series_have_label "$federated,has_labeldrop=\"no\"}" "exported_$label"
done
check "series are scraped with the guide's labeldrop" wait_until "$deadline" "$prometheus" \
    series_have_label "$federated,has_labeldrop=\"yes\"}" exported_instance
for label in mesh dataplane service; do
    check "and have no label exported_$label" \
        series_have_no_label "$federated,has_labeldrop=\"yes\"}" "exported_$label"
done

set_dataplanes '[{"service": "backend", "name": "backend-01", "address": "127.0.0.1:1", "tags": {"env": "prod"}}]'
only_backend='http://127.0.0.1:1/metrics default backend backend backend-01 backend-01 env=prod'
check "a target goes" targets_become "$only_backend"

writes=$(said_by_daemon "wrote")
daemon_says_after "no connection to the control plane" tell_control_plane away
gone_at=$(date -u +%Y-%m-%dT%H:%M:%S)
check "without a control plane the targets stay" targets_are "$only_backend"
check "and are still scraped" wait_until "$deadline" "$prometheus" scraped_since "$gone_at"

daemon_says_after "connected to MADS" tell_control_plane back
set_dataplanes '[{"service": "backend", "name": "backend-02", "address": "127.0.0.1:3"}]'
check "a control plane that comes back is followed again" targets_become \
    'http://127.0.0.1:3/metrics default backend backend backend-02 backend-02 env=null'
check "its return with the same list wrote nothing" \
    test "$(said_by_daemon "wrote")" = "$((writes + 1))"

# Kuma 0.7 speaks v1alpha1 only, which knows no label `service`.
tell_control_plane "kuma 0.7"
check "an older Kuma in its place is followed too" targets_become \
    'http://127.0.0.1:3/metrics default null backend backend-02 backend-02 env=null'

set_dataplanes '[]'
check "the last target goes" targets_become ''

status=0
stop_process "$daemon" || status=$?
check "the daemon ends well when asked to" test "$status" = 0
check "the file outlives it" test "$(cat "$output")" = "[]"
check "Prometheus could read every version of the file" has_no_read_errors
finished=yes
