#!/usr/bin/env bash
# Shows the daemon at work, as `make run` does: starts the demo control plane and the daemon, and
# shows the file as it changes, until Ctrl-C or for DEMO_SECONDS=N. Builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/processes.sh

built=${CARGO_TARGET_DIR:-target}/debug
seconds_to_run=${DEMO_SECONDS:-}
if [[ ! $seconds_to_run =~ ^[0-9]*$ ]]; then
    echo "demo: DEMO_SECONDS wants a whole number of seconds, not '$seconds_to_run'" >&2
    exit 2
fi

folder=$(mktemp -d)
output=$folder/kuma.file_sd.json
shown=$folder/shown
story=$folder/control-plane.stdout
control_plane=
daemon=
finish() {
    trap '' INT TERM
    [[ -z $daemon ]] || stop_process "$daemon" || true
    [[ -z $control_plane ]] || stop_process "$control_plane" || true
    rm -rf "$folder"
}
trap finish EXIT
# A person's Ctrl-C is the normal end. The two programs get it too, so their end is no news then.
trap 'echo; echo "demo: stopping"; exit 0' INT TERM

say() { echo "demo: $*"; }

fail_if_ended() { # NAME PID
    is_alive "$2" && return
    local status=0
    wait "$2" || status=$?
    say "$1 has ended by itself, with status $status" >&2
    exit 1
}

commands=/dev/null
if [[ -t 0 ]]; then
    commands=/dev/stdin
    say "the control plane takes commands: kuma VERSION, cut, away, back"
fi
"$built/examples/demo_control_plane" --port 0 --api-port 0 <"$commands" >"$story" &
control_plane=$!
if ! wait_until 10 "$control_plane" line_after 'api server: ' "$story" >/dev/null; then
    fail_if_ended "the demo control plane" "$control_plane"
    say "the demo control plane doesn't say where it listens" >&2
    exit 1
fi
address=$(line_after 'api server: ' "$story")

# The first port from the usual one on that nobody listens at.
port=9467
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    port=$((port + 1))
done
arguments=("--cp-address=$address" "--output-file=$output" "--listen-address=127.0.0.1:$port")

say "starting: kuma-prometheus-sd run ${arguments[*]}"
"$built/kuma-prometheus-sd" run "${arguments[@]}" &
daemon=$!
say "its status page: http://127.0.0.1:$port/"

# What Prometheus would see. It is told of a change by the kernel; here a look every so often will do.
show_changes() {
    [[ -e $output ]] || return 0
    if [[ ! -e $shown ]]; then
        cp "$output" "$shown"
        say "$output:"
        cat "$shown"
        return
    fi
    cp "$output" "$folder/now"
    cmp -s "$shown" "$folder/now" && return
    say "$output changed:"
    # The comma that ends all lines but the last would show a neighbour as changed too.
    diff -U 0 <(sed 's/,$//' "$shown") <(sed 's/,$//' "$folder/now") | sed '1,2d; /^@@/d' || true
    mv "$folder/now" "$shown"
}

# The control plane's story, as far as it has been told since the last look.
told=0
tell_story() {
    local line lines=()
    mapfile -s "$told" -t lines <"$story"
    for line in "${lines[@]}"; do
        say "control plane: $line"
    done
    told=$((told + ${#lines[@]}))
}

started=$SECONDS
while [[ -z $seconds_to_run ]] || ((SECONDS - started < seconds_to_run)); do
    tell_story
    show_changes
    fail_if_ended "the demo control plane" "$control_plane"
    fail_if_ended "the daemon" "$daemon"
    sleep 0.2
done
tell_story
show_changes
