#!/bin/sh
# Installs what is missing to build, check and try kuma-prometheus-sd, with the system's package
# manager; what that does not have goes below the target folder, or to rustup where that is in use.
# Does nothing, quickly, where nothing is missing.
#
# usage: scripts/prerequisites.sh [PURPOSE...]
#
#   build    to build and test; always included
#   lint     for `make lint`
#   e2e      for `make e2e` and `make rules`
#   static   for `make static`; TARGET in the environment says for which machine, this one by default
#   deb      for `make deb`
#   rpm      for `make rpm`
#   fuzz     for `make fuzz`
#   minimum-rust
#            for `make minimum-rust`: the oldest Rust that Cargo.toml promises
#   instructions   for `make instructions`
#   browser  for the tests of the status page, which else only say that they were not tried
#   screenshots   for `make screenshots`
#   judges   the programs that some tests ask, and without which these only say that they were not tried
#
# It is written for the plainest sh: a fresh machine may have no bash yet.
set -eu
cd "$(dirname "$0")/.."
. scripts/static-rust.sh
. scripts/minimum-rust.sh

cargo=${CARGO:-cargo}
rustc=${RUSTC:-rustc}
edition=$(sed -n 's/^edition = "\(.*\)"/\1/p' Cargo.toml)
# Cargo's own rule: under the target folder lives what can be made again.
prometheus_folder=${CARGO_TARGET_DIR:-target}/prometheus
zig_folder=${CARGO_TARGET_DIR:-target}/zig
static_target=${TARGET:-$(uname -m)-unknown-linux-musl}
# What puts the list of crates into the static binary, what makes a deb and an rpm of it, and which version
# of each.
tools_folder=${CARGO_TARGET_DIR:-target}/tools
cargo_auditable="cargo-auditable@0.7.7"
cargo_deb="cargo-deb@3.8.0"
cargo_generate_rpm="cargo-generate-rpm@0.21.1"

say() { echo "prerequisites: $*" >&2; }

fail() {
    say "$@"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

version_at_least() { # HAVE WANT
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# The version of a Rust tool; nothing where the tool is missing or is rustup's proxy without a toolchain.
rust_tool_version() {
    "$1" --version 2>/dev/null | sed -n 's/^[a-z]* \([0-9][0-9.]*\).*/\1/p'
}

rust_is_new_enough() {
    rustc_version=$(rust_tool_version "$rustc")
    cargo_version=$(rust_tool_version "$cargo")
    [ -n "$rustc_version" ] && version_at_least "$rustc_version" "$minimum_rust" &&
        [ -n "$cargo_version" ] && version_at_least "$cargo_version" "$minimum_rust"
}

has_certificates() {
    [ -n "${SSL_CERT_FILE:-}${CARGO_HTTP_CAINFO:-}" ] ||
        [ -e /etc/ssl/certs/ca-certificates.crt ] || # Debian, Arch, Alpine
        [ -e /etc/pki/tls/certs/ca-bundle.crt ] ||   # Fedora
        [ -e /etc/ssl/ca-bundle.pem ] ||             # openSUSE
        [ -e /etc/ssl/cert.pem ]
}

has_prometheus() {
    { has prometheus && has promtool; } || [ -x "$prometheus_folder/usr/bin/promtool" ]
}

# As pinned today, not as some earlier checkout had it.
has_zig() {
    [ -x "$zig_folder/bin/cargo-zigbuild" ] &&
        cmp -s scripts/static-requirements.txt "$zig_folder/installed-requirements.txt"
}

has_cargo_tool() { # NAME@VERSION
    grep -q "^\"${1%@*} ${1#*@} " "$tools_folder/.crates.toml" 2>/dev/null
}

# Prints what is missing, as words of our own; `install` turns them into a manager's package names.
missing_for() {
    has bash || echo bash
    has diff || echo diff
    has make || echo make
    has cmake || echo cmake
    { has "${CC:-cc}" && has "${CXX:-c++}"; } || echo compiler
    has_certificates || echo certificates
    rust_is_new_enough || echo rust
    for purpose in "$@"; do
        case $purpose in
        build) ;;
        lint)
            "$cargo" clippy --version >/dev/null 2>&1 || echo clippy
            # One that an older Rust left behind doesn't know the edition's style.
            "${RUSTFMT:-rustfmt}" --style-edition "$edition" </dev/null >/dev/null 2>&1 || echo rustfmt
            ;;
        e2e)
            has curl || echo curl
            has jq || echo jq
            has_prometheus || echo prometheus
            ;;
        static)
            python3 -c 'import ensurepip, venv' 2>/dev/null || echo python
            has_zig || echo zig
            choose_static_rust "$static_target" || echo static-rust
            has_cargo_tool "$cargo_auditable" || echo "$cargo_auditable"
            ;;
        deb) has_cargo_tool "$cargo_deb" || echo "$cargo_deb" ;;
        rpm) has_cargo_tool "$cargo_generate_rpm" || echo "$cargo_generate_rpm" ;;
        fuzz) has jq || echo jq ;;
        minimum-rust)
            find_minimum_rust || {
                echo minimum-rust
                has rustup || { has curl || echo curl; }
            }
            ;;
        instructions) has valgrind || echo valgrind ;;
        browser) has chromedriver || echo chromedriver ;;
        screenshots) has pngquant || echo pngquant ;;
        judges)
            for judge in faketime fish lintian mandoc podman strace zsh; do
                has "$judge" || echo "$judge"
            done
            has runc || [ -x /usr/sbin/runc ] || echo runc
            has perl || echo perl
            has curl || echo curl
            has ip || echo iproute2
            has nginx || [ -x /usr/sbin/nginx ] || echo nginx
            has runsv || echo runit
            has systemd-analyze || echo systemd
            ;;
        esac
    done
}

can_be_root() { [ "$(id -u)" = 0 ] || has sudo || has doas; }

as_root() {
    say "running: $*"
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    elif has doas; then
        doas "$@"
    else
        fail "not root, and neither sudo nor doas is here: run the command above as root"
    fi
}

# A Rust that the package manager would only hide behind, or collide with, is its owner's to update.
leave_rustup_alone() {
    ! has rustup || fail "Rust $minimum_rust or newer is wanted, with clippy and rustfmt for \`make lint\`;" \
        "here rustup looks after it: run \`rustup toolchain install stable --component clippy,rustfmt\`" \
        "and \`rustup default stable\`"
}

rust_by_hand() {
    fail "$1 has no Rust $minimum_rust or newer." \
        "Install one by hand, for instance with rustup (https://rustup.rs), and run this again"
}

apt_candidate() {
    LC_ALL=C apt-cache policy "$1" | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}//p'
}

# Debian keeps a stable release's `rustc` as it was and adds newer ones, made for browsers, as `-web`.
apt_rust_suffix() {
    for suffix in '' -web; do
        candidate=$(apt_candidate "rustc$suffix")
        case $candidate in
        [0-9]*)
            if version_at_least "$candidate" "$minimum_rust"; then
                echo "$suffix"
                return
            fi
            ;;
        esac
    done
    echo none
}

# A Rust with the source of its standard library, which Debian doesn't build for musl.
apt_static_rust() {
    suffix=$(apt_rust_suffix)
    case $suffix in
    -web) echo "rustc-web cargo-web rust-web-src" ;;
    '') echo "rustc cargo rust-src" ;;
    none) rust_by_hand "This system's apt" ;;
    esac
}

install_with_apt() {
    # Without root the lists of before still name the packages to ask for.
    ! can_be_root || as_root apt-get -o DPkg::Lock::Timeout=300 update -q
    packages=
    for item in "$@"; do
        case $item in
        rust | clippy | rustfmt)
            suffix=$(apt_rust_suffix)
            [ "$suffix" != none ] || rust_by_hand "This system's apt"
            case $item$suffix in
            rust | rust-web) packages="$packages rustc$suffix cargo$suffix" ;;
            clippy-web) packages="$packages rust-web-clippy" ;;
            clippy) packages="$packages rust-clippy" ;;
            rustfmt*) packages="$packages rustfmt$suffix" ;;
            esac
            ;;
        compiler) packages="$packages g++" ;;
        certificates) packages="$packages ca-certificates" ;;
        diff) packages="$packages diffutils" ;;
        python) packages="$packages python3-venv" ;;
        chromedriver) packages="$packages chromium chromium-driver" ;;
        static-rust) packages="$packages $(apt_static_rust)" ;;
        prometheus) ;;
        *) packages="$packages $item" ;;
        esac
    done
    if [ -n "$packages" ]; then
        # shellcheck disable=SC2086 # a list of words on purpose
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends $packages
    fi
    case " $* " in *" prometheus "*) unpack_prometheus_with_apt ;; esac
}

# Installing Debian's package would start a Prometheus for good, on port 9090 of every address.
# Its two programs need nothing but libc, so they are unpacked for us alone.
unpack_prometheus_with_apt() {
    say "unpacking Debian's prometheus to $prometheus_folder"
    mkdir -p "$prometheus_folder"
    (
        cd "$prometheus_folder"
        rm -f prometheus_*.deb
        apt-get -q -o APT::Sandbox::User=root download prometheus # spares root a warning about this folder
        dpkg-deb -x prometheus_*.deb .
        rm -f prometheus_*.deb
    )
}

# The other managers' names. They have one Rust each: whether it is new enough shows afterwards.
install_with_other() { # MANAGER ITEM...
    manager=$1
    shift
    packages=
    for item in "$@"; do
        case $manager:$item in
        pacman:clippy | pacman:rustfmt | zypper:clippy | zypper:rustfmt) continue ;; # come with rust
        *:prometheus) continue ;;                                                    # said at the end
        apk:compiler) package='g++ linux-headers' ;;
        pacman:compiler) package=gcc ;;
        *:compiler) package=gcc-c++ ;;
        pacman:rust) package=rust ;;
        *:rust) package='rust cargo' ;;
        apk:clippy) package=rust-clippy ;;
        pacman:chromedriver) package=chromium ;;
        apk:chromedriver) package='chromium chromium-chromedriver' ;;
        *:chromedriver) package='chromium chromedriver' ;;
        *:diff) package=diffutils ;;
        *:certificates) package=ca-certificates ;;
        *:python) package=python3 ;;
        *:static-rust) package=rust-src ;;
        *) package=$item ;;
        esac
        packages="$packages $package"
    done
    # shellcheck disable=SC2086 # a list of words on purpose
    [ -z "$packages" ] || case $manager in
    dnf) as_root dnf -y install $packages ;;
    apk) as_root apk add $packages ;;
    zypper) as_root zypper --non-interactive install $packages ;;
    pacman) as_root pacman -S --noconfirm --needed $packages ;;
    esac
}

add_target_with_rustup() {
    has rustup && rustup target add "$static_target" && choose_static_rust "$static_target"
}

# Rustup's own, where it looks after Rust; otherwise unpacked for us alone, from where rustup gets it.
install_minimum_rust() {
    if has rustup; then
        rustup toolchain install "$minimum_rust.0" --profile minimal --no-self-update
        return
    fi
    say "unpacking Rust $minimum_rust.0 to $minimum_rust_folder"
    machine=$("$rustc" -vV | sed -n 's/^host: //p')
    rm -rf "$minimum_rust_folder" "$minimum_rust_folder.new"
    mkdir -p "$minimum_rust_folder.new"
    for component in rustc cargo rust-std; do
        archive=$minimum_rust_folder.new/$component.tar.gz
        curl -fsS --retry 3 -o "$archive" \
            "https://static.rust-lang.org/dist/$component-$minimum_rust.0-$machine.tar.gz" ||
            fail "cannot get Rust $minimum_rust.0 for $machine; install rustup (https://rustup.rs), and run this again"
        tar -xzf "$archive" -C "$minimum_rust_folder.new" --strip-components=2
        rm -f "$archive"
    done
    mv "$minimum_rust_folder.new" "$minimum_rust_folder"
}

make_zig_folder() {
    say "installing zig and cargo-zigbuild to $zig_folder"
    rm -rf "$zig_folder"
    python3 -m venv "$zig_folder"
    "$zig_folder/bin/pip" install --quiet --no-deps --only-binary :all: --require-hashes \
        -r scripts/static-requirements.txt
    cp scripts/static-requirements.txt "$zig_folder/installed-requirements.txt"
}

install() {
    case " $* " in *" rust "* | *" clippy "* | *" rustfmt "*) leave_rustup_alone ;; esac
    if has apt-get; then
        install_with_apt "$@"
    elif has dnf; then
        install_with_other dnf "$@"
    elif has apk; then
        install_with_other apk "$@"
    elif has zypper; then
        install_with_other zypper "$@"
    elif has pacman; then
        install_with_other pacman "$@"
    else
        fail "no package manager that this script knows (apt, dnf, apk, zypper, pacman);" \
            "install by hand: $* (Rust $minimum_rust or newer, a C and C++ compiler)"
    fi
}

install_cargo_tool() { # NAME@VERSION
    say "installing $1 to $tools_folder"
    # They run for seconds and build for minutes, so the build is kept short.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
        "$cargo" install --quiet --locked --root "$tools_folder" "$1"
}

# What no package manager brings comes from elsewhere: a target from rustup, where that is in use, the
# compiler for it from PyPI, and tools of Cargo's from where Cargo gets them.
install_missing() {
    wanted=
    for item in "$@"; do
        case $item in
        zig | minimum-rust | cargo-*@*) ;;
        static-rust) add_target_with_rustup || wanted="$wanted $item" ;;
        *) wanted="$wanted $item" ;;
        esac
    done
    # shellcheck disable=SC2086 # a list of words on purpose
    [ -z "$wanted" ] || install $wanted
    for item in "$@"; do
        case $item in
        zig) make_zig_folder ;;
        minimum-rust) install_minimum_rust ;;
        cargo-*@*) install_cargo_tool "$item" ;;
        esac
    done
}

for purpose in "$@"; do
    case $purpose in
    build | lint | e2e | static | deb | rpm | fuzz | minimum-rust | instructions | browser | screenshots | judges) ;;
    *) fail "unknown purpose: $purpose (build, lint, e2e, static, deb, rpm, fuzz, minimum-rust, instructions," \
        "browser, screenshots or judges)" ;;
    esac
done

purposes=$*
# shellcheck disable=SC2086 # a list of words on purpose
missing=$(missing_for $purposes)
[ -n "$missing" ] || exit 0

# shellcheck disable=SC2086 # a list of words on purpose
set -- $missing
say "missing: $*"
install_missing "$@"

# shellcheck disable=SC2086 # a list of words on purpose
missing=$(missing_for $purposes)
[ -n "$missing" ] || exit 0
case $missing in
*rust*)
    rust_is_new_enough ||
        rust_by_hand "After that, this system still finds $(command -v "$rustc" || echo no) rustc $(rust_tool_version "$rustc"), and"
    ;;
esac
# shellcheck disable=SC2086 # one line on purpose
fail "still missing:" $missing "- install by hand"
