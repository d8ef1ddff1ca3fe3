#!/bin/sh
# Installs the configuration where there is none: `meson install` never writes over the administrator's.
set -eu
target=${DESTDIR:-}$1
if [ -e "$target" ]; then
    echo "keeping $target"
    exit 0
fi
# Readable by the daemon's group, not by everybody: it may hold passwords. packaging/ gives it to root:portwatch.
install -D -m 0640 "$MESON_SOURCE_ROOT/conf/portwatch.conf" "$target"
