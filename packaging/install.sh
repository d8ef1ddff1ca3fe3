#!/bin/sh
# Builds portwatch from this checkout, installs it and starts watching. Debian 12 and its relatives.
# Running it again upgrades: an existing configuration and database are kept.
set -eu

usage() {
    cat <<'EOF'
usage: sudo packaging/install.sh [--no-start] [--no-deps] [--prefix DIR]

  --no-start    install only
  --no-deps     do not call apt-get; everything needed is there
  --prefix DIR  where programs go (default /usr); configuration stays in /etc, state in /var/lib
EOF
}

say() { printf '== %s\n' "$*"; }
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

start=yes deps=yes prefix=/usr
while [ $# -gt 0 ]; do
    case $1 in
    --no-start) start=no ;;
    --no-deps) deps=no ;;
    --prefix) prefix=${2:?--prefix needs a directory} && shift ;;
    --prefix=*) prefix=${1#*=} ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done

[ "$(id -u)" = 0 ] || die 'must run as root: sudo packaging/install.sh'
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
build=build/install
conf=/etc/portwatch.conf
state=/var/lib/portwatch

packages='gcc libc6-dev meson ninja-build pkg-config libsystemd-dev libcurl4-openssl-dev libinih-dev libsqlite3-dev
    libmnl-dev libjansson-dev libssl-dev scdoc ca-certificates'

install_dependencies() {
    missing=
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -q --no-install-recommends $missing
}

compile() {
    say 'building'
    set -- --prefix="$prefix" --sysconfdir=/etc --localstatedir=/var --buildtype=release -Db_lto=true -Dtests=false
    if [ -f "$build/build.ninja" ]; then
        meson setup --reconfigure "$build" "$@" >/dev/null
    else
        meson setup "$build" "$@" >/dev/null
    fi
    meson compile -C "$build"
}

create_user() {
    if ! getent passwd portwatch >/dev/null || ! getent group portwatch >/dev/null; then
        say 'creating user and group portwatch'
        if command -v systemd-sysusers >/dev/null; then
            systemd-sysusers "$prefix/lib/sysusers.d/portwatch.conf"
        else
            getent group portwatch >/dev/null || groupadd --system portwatch
            getent passwd portwatch >/dev/null || useradd --system --gid portwatch --no-create-home \
                --home-dir "$state" --shell /usr/sbin/nologin --comment 'Port change monitor' portwatch
        fi
    fi
}

# The configuration is the administrator's: one that was there before is left as it is, rights and all.
create_files() {
    if [ "$configured" = no ]; then
        chown root:portwatch "$conf"
        chmod 0640 "$conf"
    else
        say "keeping $conf"
    fi
    install -d -m 0750 -o root -g portwatch "$conf.d"
    install -d -m 0755 -o root -g root /etc/portwatch
    install -d -m 0750 -o root -g portwatch /etc/portwatch/credentials
    install -d -m 0750 -o portwatch -g portwatch "$state"
}

# As the unit does it: user portwatch with the two capabilities that show other users' sockets, where they can be had.
run_foreground() {
    say "PID 1 is not systemd: watching in the foreground. Changes appear below; Ctrl-C ends it."
    set -- "$prefix/sbin/portwatchd"
    drop='setpriv --reuid portwatch --regid portwatch --init-groups --no-new-privs'
    all='--inh-caps -all,+dac_read_search,+sys_ptrace --ambient-caps -all,+dac_read_search,+sys_ptrace
        --bounding-set -all,+dac_read_search,+sys_ptrace'
    # shellcheck disable=SC2086 # lists of words
    if $drop $all true 2>/dev/null; then
        exec $drop $all "$@"
    elif $drop true 2>/dev/null; then
        say 'no CAP_SYS_PTRACE here: owners of some sockets will not be seen'
        exec $drop "$@"
    fi
    exec "$@"
}

begin_watching() {
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl enable portwatch.service
        # Starts it, and replaces an older one after an upgrade.
        systemctl restart portwatch.service
        say 'watching. Next:'
        cat <<EOF
   portwatch list                     what listens here now
   portwatch status                   how portwatch is
   journalctl -fu portwatch           changes as they happen
   editor $conf && systemctl reload portwatch      where to send mail
EOF
    else
        run_foreground
    fi
}

[ "$deps" = no ] || install_dependencies
compile
configured=no
[ ! -e "$conf" ] || configured=yes
say "installing to $prefix"
meson install -C "$build" --no-rebuild --quiet
create_user
create_files
"$prefix/bin/portwatch" check-config >/dev/null || die "$conf has errors: portwatch check-config names them"
if [ "$start" = yes ]; then
    begin_watching
else
    say 'installed, not started'
fi
