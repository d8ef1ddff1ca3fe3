"""A small Debian 12 with systemd, exim and what portwatch depends on: the ground that every guest stands on, never written
to. Kept in build/ for a week, or until this file or the hook changes. With a kernel for the one that is a whole machine."""

import datetime
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

# The libraries are here so that apt, without a network, installs the package from a file. certificates: system trust.
# kmod: for the machine with a kernel of its own. iproute2: `ip netns`.
INCLUDE = """systemd systemd-sysv dbus ca-certificates exim4-daemon-light kmod iproute2
    libcurl4 libinih1 libjansson4 libmnl0 libsqlite3-0 libssl3 libsystemd0""".split()
OPTIONS = ['--aptopt=Acquire::Languages "none"', '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
           "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
           "--dpkgopt=path-exclude=/usr/share/locale/*"]
SUITE = "bookworm"
KERNEL = pathlib.Path(__file__).with_name("kernel.sh")


def sources():
    """The host's lists of Debian's archive, so that its mirrors and snapshots are used; none: mmdebstrap's default."""
    apt = pathlib.Path("/etc/apt")
    places = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("debian*"))]
    return [str(p) for p in places if p.is_file() and SUITE in p.read_text(errors="replace")]


def make(directory):
    """The tree's path; made first if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    week = "{}-{}".format(*datetime.date.today().isocalendar()[:2])
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes() + KERNEL.read_bytes() + week.encode()).hexdigest()[:16]
    tree = directory / f"tree-{key}"
    if tree.is_dir():
        return tree
    new = pathlib.Path(tempfile.mkdtemp(prefix="new-", dir=directory))
    eatmydata = ["eatmydata"] if shutil.which("eatmydata") else []
    try:
        subprocess.run([*eatmydata, "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
                        "--include=" + ",".join(INCLUDE), f"--customize-hook={KERNEL}", *OPTIONS, SUITE, new / "root",
                        *sources()],
                       check=True, timeout=400, stdin=subprocess.DEVNULL)
        # what the package brings is installed whole
        for left in (new / "root/etc/dpkg/dpkg.cfg.d").glob("*mmdebstrap"):
            left.unlink()
        (new / "root/etc/machine-id").write_text("")
        # at each boot a service in a network namespace of its own, which a message would count or not
        (new / "root/etc/systemd/system/e2scrub_reap.service").symlink_to("/dev/null")
        (new / "root").chmod(0o755)
        for old in directory.glob("tree-*"):
            shutil.rmtree(old)
        os.rename(new / "root", tree)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return tree
