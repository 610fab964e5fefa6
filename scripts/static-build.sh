#!/usr/bin/env bash
# Builds the fully static binary that is shipped. The same source gives the same bytes, in whatever
# folder, with the same Rust.
#
# usage: scripts/static-build.sh TARGET [PROGRAM]          such as x86_64-unknown-linux-musl
#        scripts/static-build.sh --path TARGET [PROGRAM]   only prints where the binary is, or would be
#
# PROGRAM is `kuma-prometheus-sd` unless it is one that measures: `kuma-bench`, or `stages`, which needs no
# gRPC. They share what is built for the shipped one, and are built by themselves, so that no dependency of
# theirs changes it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/static-rust.sh

only_path=
if [[ ${1:-} == --path ]]; then
    only_path=yes
    shift
fi
target=${1:?a target, such as x86_64-unknown-linux-musl}
program=${2:-kuma-prometheus-sd}
case $program in
kuma-prometheus-sd | kuma-bench) package=(--package "$program") ;;
stages) package=(--package kuma-bench --no-default-features) ;;
*)
    echo "static-build: unknown program: $program (kuma-prometheus-sd, kuma-bench or stages)" >&2
    exit 2
    ;;
esac
target_folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")
binary=$target_folder/$target/release/$program
if [[ -n $only_path ]]; then
    echo "$binary"
    exit
fi

if ! choose_static_rust "$target"; then
    echo "static-build: no Rust here can build for $target; run \`make prerequisites-static TARGET=$target\`" >&2
    exit 1
fi
export RUSTC=$static_rustc
flags=()
rustflags=()
if [[ $static_standard_library == source ]]; then
    # A distribution's Rust has no standard library for musl, but may have its source. Building it is
    # unstable, hence the permission; and it has no start-up objects for musl, but zig does.
    export RUSTC_BOOTSTRAP=1
    flags=(-Z "build-std=std,panic_abort,panic_unwind")
    rustflags=(-C link-self-contained=no)
fi

# Where things happened to lie must not show in the binary: panics and C++ checks name their files.
c_flags=()
hide() { # FOLDER NAME
    if [[ $1 == *[[:space:]]* ]]; then
        echo "static-build: no flag can have '$1' in it, so the binary will; for a release, build elsewhere" >&2
        return
    fi
    rustflags+=("--remap-path-prefix=$1=$2")
    c_flags+=("-ffile-prefix-map=$1=$2")
}
hide "$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")" /cargo
hide "$target_folder" /target
# musl since 1.2.4 keeps off64_t to itself unless asked.
c_flags+=(-D_LARGEFILE64_SOURCE)
# clang since 19 rejects `x.template f(...)` without a template argument list, as gRPC has it.
cxx_flags=("${c_flags[@]}" -Wno-missing-template-arg-list-after-template-kw)
# Abseil asks the system for randomness by itself with glibc only, and otherwise ends the process where
# there is no /dev/urandom. musl has the call, too.
cxx_flags+=(-DABSL_RANDOM_USE_GET_ENTROPY=1)
# Nothing in gRPC throws, and no panic passes through it; the tables for both are a tenth of the binary.
c_flags+=(-fno-unwind-tables)
cxx_flags+=(-fno-exceptions -fno-unwind-tables)

variable=${target//-/_}
export "CARGO_TARGET_${variable^^}_RUSTFLAGS=${rustflags[*]}"
export "CFLAGS_$variable=${c_flags[*]}"
export "CXXFLAGS_$variable=${cxx_flags[*]}"
# One that is set for everything would win over the ones above.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CFLAGS CXXFLAGS

# The list of crates goes into the binary, for scanners such as `cargo audit bin`.
export PATH="$target_folder/zig/bin:$target_folder/tools/bin:$PATH"
"$static_cargo" auditable zigbuild "${flags[@]}" --locked --release --target "$target" \
    "${package[@]}" --bin "$program"
echo "$binary: $(stat -c %s "$binary") bytes"
