#!/bin/sh
# A hook of mmdebstrap: puts Debian's kernel for virtual machines into the tree as /boot/vmlinuz, and its modules without
# drivers: disk, serial ports and ext4 are built in. Unpacked, not installed: no boot loader and no initrd is wanted.
set -eu
cd "$1/root"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get -q download "$(apt-cache depends linux-image-cloud-amd64 | awk '/ Depends: linux-image-/ {print $2; exit}')"
dpkg-deb -x linux-image-*.deb kernel
version=$(ls kernel/lib/modules)
mv kernel/boot/vmlinuz-* "$1/boot/vmlinuz"
rm -rf "kernel/lib/modules/$version/kernel/drivers"
mkdir -p "$1/usr/lib/modules"
mv "kernel/lib/modules/$version" "$1/usr/lib/modules/"
rm -rf kernel linux-image-*.deb
env -u LD_PRELOAD chroot "$1" depmod "$version"
