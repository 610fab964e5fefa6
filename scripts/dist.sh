#!/usr/bin/env bash
# Packs what is built: a tarball, a deb or an rpm of the static binary, and the checksums of all of
# them. Builds nothing. The same binary packed twice gives the same bytes.
#
# usage: scripts/dist.sh tarball|deb|rpm TARGET          such as x86_64-unknown-linux-musl
#
# In the environment: BINARY, a program to pack in place of TARGET's; SOURCE_DATE_EPOCH and MAINTAINER
# (NAME <ADDRESS>), where they are not to be those of the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

name=kuma-prometheus-sd
version=$(sed -n '/^\[package\]/,/^\[features\]/s/^version = "\(.*\)"/\1/p' Cargo.toml)
target_folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")
dist=$target_folder/dist
# Where both packagers look for what Cargo has built.
stage=

fail() { # CODE WORD...
    local code=$1
    shift
    echo "dist: $*" >&2
    exit "$code"
}

need_binary() { # TARGET
    BINARY=${BINARY:-$(scripts/static-build.sh --path "$1")}
    [[ -f $BINARY ]] || fail 2 "nothing is built: there is no $BINARY. Run \`make static TARGET=$1\` first"
}

# A value of the last commit, for a variable that is not set.
from_commit() { # VARIABLE FORMAT
    [[ -z ${!1:-} ]] || return 0
    local value
    value=$(git log -1 --format="$2" 2>/dev/null) ||
        fail 2 "$1 is not set, and there is no git repository here to take it from. Set it"
    export "$1=$value"
}

# The folder holds what is packed from one commit: what an earlier one has left there is not a part of
# the release.
keep_only_this_commit() {
    local commit=$dist/.packed-from
    mkdir -p "$dist"
    [[ -e $commit && $(<"$commit") == "$version $SOURCE_DATE_EPOCH" ]] ||
        rm -f "$dist/$name"[-_]* "$dist"/SHA256SUMS*
    echo "$version $SOURCE_DATE_EPOCH" >"$commit"
}

copy() { # FOLDER PATH...
    local folder=$1 path
    shift
    for path in "$@"; do
        [[ -e $path ]] || fail 1 "$path, which is to be packed, is not there"
    done
    mkdir -p "$folder"
    cp -R --parents "$@" "$folder"
}

pack_tarball() { # TARGET
    local base=$name-$version-$1 folder
    folder=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$folder'" EXIT
    copy "$folder/$base" LICENSE ./*.md docs packaging/{Containerfile,install.sh,environment,"$name.1"} \
        packaging/{THIRD-PARTY-NOTICES.txt,"$name.cdx.json",completions,systemd,runit}
    install -m 755 "$BINARY" "$folder/$base/$name"
    tar --create --directory="$folder" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" "$base" | gzip -9 -n >"$dist/$base.tar.gz"
    echo "$dist/$base.tar.gz"
}

# The files of a package, at the paths that they will have.
fill_stage() { # TARGET VARIABLE=VALUE...
    stage=$target_folder/$1/release/package
    shift
    rm -rf "$stage"
    # The runit directory is an example there: with a distribution's package comes its systemd unit.
    env -i PATH="$PATH" DESTDIR="$stage" BINARY="$BINARY" prefix=/usr \
        svdir=/usr/share/doc/$name/examples/sv "$@" packaging/install.sh install
    copy "$stage/usr/share/doc/$name" ./*.md docs
}

pack_deb() { # TARGET
    local documentation
    from_commit MAINTAINER '%an <%ae>'
    fill_stage "$1" zshcompletiondir=/usr/share/zsh/vendor-completions
    documentation=$stage/usr/share/doc/$name
    gzip -9 -n "$stage/usr/share/man/man1/$name.1"
    gzip -9 -n <CHANGELOG.md >"$documentation/changelog.gz"
    gzip -9 -n >"$documentation/changelog.Debian.gz" <<END
$name ($version-1) unstable; urgency=medium

  * Version $version; what is new in it stands in changelog.gz.

 -- $MAINTAINER  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
    install -D -m 644 packaging/deb/lintian-overrides "$stage/usr/share/lintian/overrides/$name"
    "$target_folder/tools/bin/cargo-deb" --no-build --no-strip --target "$1" --maintainer "$MAINTAINER" \
        --output "$dist/"
    judge_deb "$dist/${name}_$version"-*.deb
}

judge_deb() { # DEB...
    if ! command -v lintian >/dev/null; then
        echo "dist: not checked, as lintian is not here" >&2
        return
    fi
    lintian --fail-on error,warning "$@"
}

pack_rpm() { # TARGET
    fill_stage "$1"
    "$target_folder/tools/bin/cargo-generate-rpm" --target-dir "$target_folder" --target "$1" \
        --auto-req disabled --output "$dist/"
}

format=${1:-}
target=${2:?a target, such as x86_64-unknown-linux-musl}
case $format in
tarball | deb | rpm) ;;
*) fail 2 "no format '$format'; there are tarball, deb and rpm" ;;
esac
need_binary "$target"
from_commit SOURCE_DATE_EPOCH %ct
keep_only_this_commit
"pack_$format" "$target"
# A signature is one of the sums before.
rm -f "$dist/SHA256SUMS.sig"
(cd "$dist" && sha256sum -- "$name"[-_]* >SHA256SUMS)
