# shellcheck shell=sh
# Which Rust can build for musl. To be sourced, also by the plainest sh.

# Finds a Rust that has the standard library for TARGET, or its source, and sets `static_rustc`,
# `static_cargo` and `static_standard_library` (built or source). The one that is in use comes first;
# Debian's own, if it is another one, comes second.
# shellcheck disable=SC2034 # for whoever asked
choose_static_rust() { # TARGET
    for static_rustc in "${RUSTC:-rustc}" /usr/bin/rustc; do
        case $static_rustc in
        /usr/bin/rustc) static_cargo=/usr/bin/cargo ;;
        *) static_cargo=${CARGO:-cargo} ;;
        esac
        static_libraries=$("$static_rustc" --print target-libdir --target "$1" 2>/dev/null) || continue
        for static_library in "$static_libraries"/libstd-*.rlib; do
            if [ -e "$static_library" ]; then
                static_standard_library=built
                return 0
            fi
        done
        if [ -d "$("$static_rustc" --print sysroot)/lib/rustlib/src/rust/library/std" ]; then
            static_standard_library=source
            return 0
        fi
    done
    return 1
}
