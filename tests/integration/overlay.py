"""A copy of this machine to install on: a mount and network namespace in which /usr, /etc and /var are overlays, so that
the machine itself is left as it is. PID 1 of it is no systemd."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness import ROOT, SLOW

# Runs inside the namespaces: puts the overlays up, then becomes the command.
ENTER = r"""
set -eu
layers=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$layers"
for top in usr etc var; do
    mkdir -p "$layers/$top/up" "$layers/$top/work"
    mount -t overlay overlay -o "lowerdir=/$top,upperdir=$layers/$top/up,workdir=$layers/$top/work" "/$top"
done
# No systemd to ask, whatever PID 1 is here.
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd
ip link set lo up 2>/dev/null || true
# What an installation on this machine may have left.
if dpkg --status portwatch >/dev/null 2>&1; then dpkg --purge portwatch portwatch-dev; fi >&2
userdel --force portwatch 2>/dev/null || true
groupdel portwatch 2>/dev/null || true
if getent passwd portwatch || getent group portwatch; then exit 1; fi
rm -rf /usr/*/portwatch* /usr/lib/*/portwatch* /usr/lib/*/*/portwatch* /usr/share/*/*/portwatch* /etc/portwatch* \
    /etc/systemd/system/*/portwatch* /var/lib/portwatch
# Debian's switch against indexing all manual pages after each package.
rm -f /var/lib/man-db/auto-update
exec "$@"
"""


class Machine:
    """The namespaces, held by a process that sleeps; .run() starts commands in them."""

    def __init__(self, directory):
        self.directory = directory
        self.layers = directory / "layers"
        self.layers.mkdir()
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", ENTER, "sh", self.layers,
             "sh", "-c", "echo up; exec sleep 100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.up = self.holder.stdout.readline() == "up\n"

    def command(self, *arguments):
        return ["nsenter", "-t", str(self.holder.pid), "--mount", "--net", "--wd=" + str(self.directory),
                *map(str, arguments)]

    def run(self, *arguments, timeout=300):
        """Without a terminal or anything to read: a question that dpkg asks is an error."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=timeout * SLOW, env={**os.environ, "LC_ALL": "C.UTF-8"})

    def shell(self, script):
        """What the script says; it has to succeed."""
        done = self.run("sh", "-euc", script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def changes(self):
        """What is not as on the machine below, as "TYPE PATH" ("c": it is gone), folders that are there too left out."""
        found = self.shell(f"cd {self.layers} && find */up -mindepth 1 -printf '%y /%H/%P\\n'").replace("/up/", "/")
        return {line for line in found.splitlines() if line[0] != "d" or not os.path.isdir(line[2:])}

    def end(self):
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def machine():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-machine-"))
    directory.chmod(0o755)
    one = Machine(directory)
    if not one.up:
        one.end()
        shutil.rmtree(directory, ignore_errors=True)
        pytest.skip("no overlays here: " + one.holder.stderr.read().strip())
    yield one
    one.end()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """The folder of the built packages: $PORTWATCH_PACKAGES, or built here, once for all of pytest's processes."""
    if "PORTWATCH_PACKAGES" in os.environ:
        return pathlib.Path(os.environ["PORTWATCH_PACKAGES"]).resolve()
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "portwatch-packages"
    directory.mkdir(exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(directory.glob("*.deb")):
            subprocess.run([ROOT / "packaging/deb.sh", "--no-deps", "--output", directory], check=True)
    return directory
