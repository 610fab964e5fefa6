# shellcheck shell=bash
# For scripts that start the demo control plane, the daemon and others: waiting for what they say,
# and ending them. To be sourced.

# Waits until the command given succeeds; fails after the seconds given, or once a process has ended.
wait_until() { # SECONDS PID COMMAND...
    local deadline=$((SECONDS + $1)) pid=$2
    shift 2
    until "$@"; do
        if ((SECONDS >= deadline)) || ! is_alive "$pid"; then
            # It may have happened between the look at it and the look at the process.
            "$@"
            return
        fi
        sleep 0.1
    done
}

is_alive() { # PID
    kill -0 "$1" 2>/dev/null
}

# Ends a process as a service manager would; returns its exit status, 137 if it had to be killed.
stop_process() { # PID
    kill -TERM "$1" 2>/dev/null || true
    local deadline=$((SECONDS + 5))
    while is_alive "$1"; do
        if ((SECONDS >= deadline)); then
            kill -KILL "$1" 2>/dev/null || true
        fi
        sleep 0.05
    done
    wait "$1"
}

# The rest of the first line that starts with PREFIX; fails where there is none yet, or no file.
line_after() { # PREFIX FILE
    local line
    [[ -e $2 ]] || return 1
    while IFS= read -r line; do
        if [[ $line == "$1"* ]]; then
            echo "${line#"$1"}"
            return
        fi
    done <"$2"
    return 1
}
