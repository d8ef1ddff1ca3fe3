#!/bin/bash
# Builds the Debian packages from this checkout, or from the unpacked tarball of a release. Root is not needed, but to
# install what the build needs.
set -eu -o pipefail

usage() {
    cat <<'END'
usage: packaging/deb.sh [--output DIR] [--no-deps] [--check]

  --output DIR  where the packages go (default build/packages)
  --no-deps     do not call apt-get; everything needed is there
  --check       run the unit tests as well
END
}

say() { printf '== %s\n' "$*"; }
die() {
    printf 'deb.sh: %s\n' "$*" >&2
    exit 1
}

output='' deps=yes check=no
while [ $# -gt 0 ]; do
    case $1 in
    --output) output=${2:?--output needs a directory} && shift ;;
    --output=*) output=${1#*=} ;;
    --no-deps) deps=no ;;
    --check) check=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done
case $output in
'' | /*) ;;
*) output=$PWD/$output ;;
esac
cd "$(dirname "$0")/.."
output=${output:-$PWD/build/packages}

umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
export DEB_BUILD_OPTIONS="terse ${DEB_BUILD_OPTIONS:-}"
if [ $check = no ]; then
    export DEB_BUILD_PROFILES=nocheck DEB_BUILD_OPTIONS="nocheck $DEB_BUILD_OPTIONS"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tree=$work/portwatch
mkdir "$tree"

# What git does not ignore, as it is now; in a tarball everything but what a build left.
files() {
    if [ -e .git ] && git -c safe.directory='*' ls-files -z --cached --others --exclude-standard >"$work/files"; then
        while IFS= read -r -d '' file; do
            # A tracked one may have been removed.
            [ ! -e "$file" ] || printf '%s\0' "$file"
        done <"$work/files"
    else
        find . -mindepth 1 \( -path ./.git -o -path './build*' -o -path ./debian -o -name __pycache__ \) -prune -o \
            ! -type d -print0
    fi
}

copy() {
    files | tar --create --null --files-from=- --file=- | tar --extract --no-same-owner --directory="$tree"
    cp -R packaging/debian "$tree/debian"
}

install_dependencies() {
    if (cd "$tree" && dpkg-checkbuilddeps) >"$work/missing" 2>&1; then
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        cat "$work/missing" >&2
        die 'only root can install what is missing'
    fi
    say 'installing what the build needs'
    apt-get update -q
    apt-get build-dep -y -q --no-install-recommends "$tree"
}

copy
[ $deps = no ] || install_dependencies
mkdir -p "$output"
say 'building the packages'
if ! (cd "$tree" && dpkg-buildpackage --build=binary --no-sign --jobs=auto) >"$work/log" 2>&1; then
    tail -n 100 "$work/log" >&2
    die 'the build failed'
fi
rm -f "$output"/portwatch*.deb "$output"/portwatch*.changes "$output"/portwatch*.buildinfo
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$output"
say "packages in $output:"
ls -1 "$output"
