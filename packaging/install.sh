#!/bin/sh
# Builds the package portwatch from this checkout, installs it and starts watching. Debian 12 and its relatives.
# Running it again upgrades: an existing configuration and database are kept.
set -eu

usage() {
    cat <<'END'
usage: sudo packaging/install.sh [--no-start] [--no-deps] [--packages DIR]

  --no-start      install only
  --no-deps       do not call apt-get; everything needed is there
  --packages DIR  install the package that is there, as packaging/deb.sh left it, instead of building one

To remove it: sudo apt purge portwatch
END
}

say() { printf '== %s\n' "$*"; }
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

start=yes deps=yes packages=
while [ $# -gt 0 ]; do
    case $1 in
    --no-start) start=no ;;
    --no-deps) deps=no ;;
    --packages) packages=${2:?--packages needs a directory} && shift ;;
    --packages=*) packages=${1#*=} ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done

[ "$(id -u)" = 0 ] || die 'must run as root: sudo packaging/install.sh'
PATH=$PATH:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
no_policy=

build() {
    checkout=$(dirname "$0")/..
    packages=$checkout/build/packages
    set -- --output "$packages"
    [ $deps = yes ] || set -- "$@" --no-deps
    "$checkout/packaging/deb.sh" "$@"
}

find_package() {
    for package in "$packages"/portwatch_*.deb; do
        [ -e "$package" ] || die "no package in $packages"
    done
    # apt-get takes what has a slash at its beginning for a file.
    package=$(realpath "$package")
}

# Before there was a package `meson install` put files here. dpkg takes over those it has; these it has elsewhere.
forget_hand_install() {
    if [ ! -e /usr/sbin/portwatchd ] || dpkg-query --search /usr/sbin/portwatchd >/dev/null 2>&1; then return 0; fi
    rm -f /usr/share/man/man1/portwatch.1 /usr/share/man/man3/portwatch-plugin.3 /usr/share/man/man5/portwatch.conf.5 \
        /usr/share/man/man8/portwatchd.8 /usr/include/portwatch/plugin.h
    [ ! -d /usr/include/portwatch ] || rmdir --ignore-fail-on-non-empty /usr/include/portwatch
}

# The word of this file is asked before a package starts a service. One that is there already has the say.
forbid_start() {
    if [ $start = yes ] || [ -e $policy ]; then return 0; fi
    no_policy=$policy
    trap 'rm -f "$no_policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 0755 $policy
}

# An edited configuration stays, without a question, also one that was there before the package was.
install_package() {
    say "installing $(basename "$package")"
    if [ $deps = yes ]; then
        # The same version again is a new one, too: the checkout may have changed.
        apt-get install -y -q --reinstall --allow-downgrades -o Dpkg::Options::=--force-confdef \
            -o Dpkg::Options::=--force-confold "$package"
    else
        dpkg --force-confdef --force-confold --install "$package"
    fi
}

# As the unit does it: user portwatch with the two capabilities that show other users' sockets, where they can be had.
run_foreground() {
    say "PID 1 is not systemd: watching in the foreground. Changes appear below; Ctrl-C ends it."
    install -d -m 0750 -o portwatch -g portwatch /var/lib/portwatch
    drop='setpriv --reuid portwatch --regid portwatch --init-groups --no-new-privs'
    all='--inh-caps -all,+dac_read_search,+sys_ptrace --ambient-caps -all,+dac_read_search,+sys_ptrace
        --bounding-set -all,+dac_read_search,+sys_ptrace'
    # shellcheck disable=SC2086 # lists of words
    if $drop $all true 2>/dev/null; then
        exec $drop $all /usr/sbin/portwatchd
    elif $drop true 2>/dev/null; then
        say 'no CAP_SYS_PTRACE here: owners of some sockets will not be seen'
        exec $drop /usr/sbin/portwatchd
    fi
    exec /usr/sbin/portwatchd
}

begin_watching() {
    if [ ! -d /run/systemd/system ]; then
        run_foreground
    fi
    systemctl is-active --quiet portwatch.service || die 'the service does not run: systemctl status portwatch'
    say 'watching. Next:'
    cat <<'END'
   portwatch list                     what listens here now
   portwatch status                   how portwatch is
   journalctl -fu portwatch           changes as they happen
   editor /etc/portwatch.conf && systemctl reload portwatch      where to send mail
END
}

[ -n "$packages" ] || build
find_package
forget_hand_install
forbid_start
install_package
portwatch check-config >/dev/null || die '/etc/portwatch.conf has errors: portwatch check-config names them'
if [ $start = yes ]; then
    begin_watching
else
    say 'installed, not started'
fi
