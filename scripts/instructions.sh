#!/usr/bin/env bash
# Counts the instructions that lists of 1,000 targets take, by callgrind: a first list decoded, the same in
# another order, one of which all targets changed, and that compared with the one before. It holds them to
# the figures in bench/instructions.txt: those change with the code and the compiler, not with what else
# the machine does. Less counts as a difference too, so that what was gained is not lost unseen.
#
# usage: scripts/instructions.sh TARGET           fails where a figure is more than 10 % off
#        scripts/instructions.sh --renew TARGET   writes the figures as they are now
set -euo pipefail
cd "$(dirname "$0")/.."

figures=bench/instructions.txt
tolerance=10 # per cent

renew=
if [[ ${1:-} == --renew ]]; then
    renew=yes
    shift
fi
target=${1:?a target, such as x86_64-unknown-linux-musl}
# With the allocator and the flags of the binary that is shipped; it needs no C++.
scripts/static-build.sh "$target" stages >&2
program=$(scripts/static-build.sh --path "$target" stages)

instructions_of() { # STAGE; all before it included
    local output
    output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" 2>&1) || {
        echo "$output" >&2
        return 1
    }
    sed -n 's/.*Collected : //p' <<<"$output"
}

now=
before=$(instructions_of none)
for stage in first reordered changed compare; do
    count=$(instructions_of "$stage")
    now+="$stage $((count - before))"$'\n'
    before=$count
done
now=${now%$'\n'}

if [[ -n $renew ]]; then
    sed -i '/^[^#]/d' "$figures"
    echo "$now" >>"$figures"
    echo "$now"
    exit
fi
status=0
while read -r stage count; do
    wanted=$(sed -n "s/^$stage //p" "$figures")
    off=$(((count - wanted) * 100 / wanted))
    echo "$stage: $count instructions, $off % off from $wanted"
    if ((count * 100 > wanted * (100 + tolerance) || count * 100 < wanted * (100 - tolerance))); then
        echo "instructions: that is more than $tolerance %; if it is meant: make instructions RENEW=yes" >&2
        status=1
    fi
done <<<"$now"
exit "$status"
