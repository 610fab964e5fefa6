#!/bin/sh
# Installs or uninstalls what stands beside this script. It needs no make, no compiler and no network.
#
# usage: packaging/install.sh install|uninstall
#
# In the environment, as in the GNU and distributions' conventions: DESTDIR, prefix (/usr/local),
# exec_prefix, bindir, datarootdir, docdir, mandir, sysconfdir, localstatedir (/var), unitdir, sysusersdir,
# svdir, bashcompletiondir, zshcompletiondir, fishcompletiondir. Further BINARY, the program to
# install, and user (kuma-prometheus-sd), whom the service runs as.
#
# The configuration is in /etc whatever the prefix: that is where an administrator looks for it. Units
# go below the prefix where systemd looks for them there, otherwise below the configuration.
set -eu
# What is installed is for everybody to read, whatever the umask of whoever installs it.
umask 022

here=$(dirname "$0")
name=kuma-prometheus-sd

: "${DESTDIR:=}" "${BINARY:=$here/../$name}" "${user:=$name}"
: "${prefix:=/usr/local}" "${exec_prefix:=$prefix}" "${bindir:=$exec_prefix/bin}"
: "${datarootdir:=$prefix/share}" "${mandir:=$datarootdir/man}"
: "${docdir:=$datarootdir/doc/$name}"
: "${sysconfdir:=/etc}" "${localstatedir:=/var}"
case $prefix in
/usr | /usr/local) systemd_folder=$prefix/lib ;;
*) systemd_folder=$sysconfdir ;;
esac
: "${unitdir:=$systemd_folder/systemd/system}" "${sysusersdir:=$systemd_folder/sysusers.d}"
: "${svdir:=$sysconfdir/sv}"
: "${bashcompletiondir:=$datarootdir/bash-completion/completions}"
: "${zshcompletiondir:=$datarootdir/zsh/site-functions}"
: "${fishcompletiondir:=$datarootdir/fish/vendor_completions.d}"

environment=$sysconfdir/default/$name
service=$svdir/$name
state=$localstatedir/lib/$name
log=$localstatedir/log/$name

say() { echo "$*" >&2; }

fail() { # CODE WORD...
    code=$1
    shift
    say "install.sh: $*"
    exit "$code"
}

has() { command -v "$1" >/dev/null 2>&1; }

# The paths end up in a unit, in shell scripts and in sed, each of which reads some characters as more
# than that.
check_paths() {
    for variable in bindir docdir mandir sysconfdir localstatedir unitdir sysusersdir svdir \
        bashcompletiondir zshcompletiondir fishcompletiondir; do
        path=
        eval "path=\$$variable"
        case $path in
        *[!A-Za-z0-9/._+~-]*) fail 2 "$variable is '$path'; give one of letters, digits and /._+~- only" ;;
        /*) ;;
        *) fail 2 "$variable is '$path'; give an absolute path" ;;
        esac
    done
    case $user in
    '' | *[!A-Za-z0-9_.-]*) fail 2 "user is '$user'; give the name of one" ;;
    esac
}

# All that is installed, the environment file apart: its mode, where it stands here, and where it goes.
files() {
    cat <<END
644 $name.1 $mandir/man1/$name.1
644 completions/$name.bash $bashcompletiondir/$name
644 completions/_$name $zshcompletiondir/_$name
644 completions/$name.fish $fishcompletiondir/$name.fish
644 THIRD-PARTY-NOTICES.txt $docdir/THIRD-PARTY-NOTICES.txt
644 $name.cdx.json $docdir/$name.cdx.json
644 systemd/$name.service $unitdir/$name.service
644 systemd/$name.service $unitdir/$name@.service
644 systemd/$name.sysusers $sysusersdir/$name.conf
755 runit/run $service/run
755 runit/finish $service/finish
755 runit/check $service/check
644 runit/settings $service/settings
755 runit/log/run $service/log/run
END
}

# A file as it is installed. The manual and the environment file name the usual paths, since they are
# read in the source as well.
render() { # FILE DESTINATION
    sed -e "s|/etc/default/kuma|@sysconfdir@/default/kuma|g" \
        -e "s|/var/lib/kuma|@localstatedir@/lib/kuma|g" -e "$(elsewhere "$1")" -e "$(instance "$2")" \
        -e "s|@bindir@|$bindir|g" -e "s|@sysconfdir@|$sysconfdir|g" \
        -e "s|@localstatedir@|$localstatedir|g" -e "s|@user@|$user|g" "$here/$1"
}

# systemd has all state in /var/lib. For another place, its folder is not systemd's to make.
elsewhere() { # FILE
    case $localstatedir:$1 in
    /var:*) ;;
    *:systemd/*.service)
        echo "s|^# %S is /var/lib\\. |# |"
        echo "s|^StateDirectory=.*|ReadWritePaths=$state|"
        echo "/^StateDirectoryMode=/d"
        echo "/^# Prometheus reads the list as another user/d"
        echo "s|%S|$localstatedir/lib|g"
        ;;
    esac
}

# One unit is made into two: the plain one, and a template for one control plane of several.
instance() { # DESTINATION
    case $1 in
    *@.service)
        echo "s|@unit@|$name@|; s|@settings@|$name-%i|; s|@list@|%i|"
        echo "s|@description@|Kuma service discovery for Prometheus (%i)|"
        ;;
    *.service)
        echo "s|@unit@|$name|; s|@settings@|$name|; s|@list@|kuma|"
        echo "s|@description@|Kuma service discovery for Prometheus|"
        # Without settings, this one follows the default control plane.
        echo "/^# A name that is mistyped/d; /^AssertPathExists=/d"
        ;;
    esac
}

# Puts stdin in place by a rename: the old file may be a program that runs.
put() { # MODE DESTINATION
    temporary=$DESTDIR$2.new
    trap 'rm -f "$temporary"' EXIT
    mkdir -p "${temporary%/*}"
    cat >"$temporary"
    chmod "$1" "$temporary"
    mv -f "$temporary" "$DESTDIR$2"
    trap - EXIT
}

has_own_environment() {
    [ -e "$DESTDIR$environment" ] && ! render environment "$environment" | cmp -s - "$DESTDIR$environment"
}

install_all() {
    { files && echo "644 environment"; } | while read -r _ source _; do
        [ -f "$here/$source" ] || fail 1 "there is no $here/$source, so nothing is installed"
    done
    [ -f "$BINARY" ] || fail 2 "nothing is built: there is no $BINARY. Run \`make static\` first," \
        "as a user without rights, or name another program with BINARY=PATH"
    put 755 "$bindir/$name" <"$BINARY"
    files | while read -r mode source destination; do
        render "$source" "$destination" | put "$mode" "$destination"
    done
    if has_own_environment; then
        say "kept $DESTDIR$environment, which differs from the new $here/environment"
    else
        render environment "$environment" | put 644 "$environment"
    fi
    [ -n "$DESTDIR" ] || say_next_steps
}

say_next_steps() {
    say "installed $bindir/$name; its settings are in $environment. Next, as root:"
    if [ -d /run/systemd/system ] || ! has runsv; then
        say "  systemd-sysusers $sysusersdir/$name.conf"
        [ "$localstatedir" = /var ] || say "  install -d -m 755 -o $user -g $user $state"
        say "  systemctl daemon-reload"
        say "  systemctl enable $name && systemctl restart $name"
    fi
    if has runsv; then
        id "$user" >/dev/null 2>&1 || ! has useradd || say "  useradd --system --user-group --home-dir $state --shell /bin/false $user"
        say "  ln -s $service /etc/service/   (or wherever your runsvdir looks)"
    fi
    say "The list will be in $state/kuma.file_sd.json."
}

is_used_by_systemd() {
    has systemctl || return 1
    [ "$(systemctl show -p FragmentPath $name 2>/dev/null)" = "FragmentPath=$unitdir/$name.service" ] || return 1
    systemctl -q is-active $name "$name@*" 2>/dev/null || systemctl -q is-enabled $name 2>/dev/null
}

# Prints the service directories that a runsv looks after, copies for further control planes included.
used_by_runit() {
    has sv || return 0
    for folder in "$service" "$service"-*; do
        [ ! -d "$folder" ] || ! sv status "$folder" >/dev/null 2>&1 || echo "$folder"
    done
}

uninstall_all() {
    if [ -z "$DESTDIR" ]; then
        ! is_used_by_systemd ||
            fail 1 "the service is in use; end it with \`systemctl disable --now $name\` first, and so each $name@NAME"
        used=$(used_by_runit)
        [ -z "$used" ] || fail 1 "the service is in use; remove its link from the folder that runsvdir" \
            "looks at, /etc/service as a rule, and run \`sv exit\` first, for" $used
    fi
    rm -f "$DESTDIR$bindir/$name"
    files | while read -r _ _ destination; do
        rm -f "$DESTDIR$destination"
    done
    if has_own_environment; then
        say "kept $DESTDIR$environment, which was changed"
    else
        rm -f "$DESTDIR$environment"
    fi
    # runsv made these, and no longer runs.
    rm -rf "$DESTDIR$service/supervise" "$DESTDIR$service/log/supervise"
    for folder in "$docdir" "$service/log" "$service"; do
        [ ! -d "$DESTDIR$folder" ] || rmdir "$DESTDIR$folder" 2>/dev/null ||
            say "kept $DESTDIR$folder, which has other files in it"
    done
    [ ! -d "$DESTDIR$state" ] ||
        say "kept $DESTDIR$state: remove it when Prometheus no longer reads the list in it"
    [ ! -d "$DESTDIR$log" ] || say "kept $DESTDIR$log"
    for folder in "$DESTDIR$service"-*; do
        [ ! -d "$folder" ] || say "kept $folder, a copy for a further control plane"
    done
}

check_paths
case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*) fail 2 "usage: $0 install|uninstall" ;;
esac
