"""packaging/install.sh as a person runs it, in a mount and network namespace of its own: /usr, /etc and /var are overlays,
so this machine is left as it is."""

import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from harness import ROOT, SLOW, wait_until

# Runs inside the namespaces: puts the overlays up, then becomes the command.
ENTER = r"""
set -eu
layers=$1; checkout=$2; shift 2
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$layers"
for top in usr etc var; do
    mkdir -p "$layers/$top/up" "$layers/$top/work"
    mount -t overlay overlay -o "lowerdir=/$top,upperdir=$layers/$top/up,workdir=$layers/$top/work" "/$top"
done
# What an installation on this machine may have left.
rm -rf /etc/portwatch /etc/portwatch.conf /etc/portwatch.conf.d /var/lib/portwatch
# No systemd to ask, whatever PID 1 is here.
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd
ip link set lo up 2>/dev/null || true
cd "$checkout"
exec "$@"
"""


class Machine:
    """The namespaces, held by a process that sleeps; .run() starts commands in them."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "layers").mkdir()
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", ENTER, "sh", directory / "layers", directory / "checkout",
             "sh", "-c", "echo up; exec sleep 100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.up = self.holder.stdout.readline() == "up\n"

    def command(self, *arguments):
        return ["nsenter", "-t", str(self.holder.pid), "--mount", "--net", "--wd=" + str(self.directory / "checkout"),
                *map(str, arguments)]

    def run(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60 * SLOW)

    def end(self):
        self.holder.kill()
        self.holder.wait()


@pytest.fixture(scope="module")
def machine():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-install-"))
    directory.chmod(0o755)
    checkout = directory / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".git", "build", "corpus", "__pycache__"), symlinks=True)
    one = Machine(directory)
    if not one.up:
        one.end()
        shutil.rmtree(directory, ignore_errors=True)
        pytest.skip("no overlays here: " + one.holder.stderr.read().strip())
    yield one
    one.end()
    shutil.rmtree(directory, ignore_errors=True)


class Install:
    """install.sh in the foreground, until it watches."""

    def __init__(self, machine, log):
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(machine.command("packaging/install.sh", "--no-deps"), stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)

    def text(self):
        return self.log.read_text(errors="replace")

    def wait(self, pattern, timeout):
        def there():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text()[-3000:]}"
            return re.search(pattern, self.text())
        return wait_until(there, timeout, self.text)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20 * SLOW)


@pytest.mark.slow
@pytest.mark.plain
def test_install_watches_at_once_and_again_keeps_what_was_edited(machine):
    first = Install(machine, machine.directory / "first.log")
    first.wait(r"watching in the foreground", 300)
    first.wait(r"no notifier is configured", 30)

    status = wait_until(lambda: (lambda r: r if "No notifier" in r.stdout else None)(machine.run("portwatch", "status")), 30)
    assert status.returncode == 0 and "[notifier:NAME]" in status.stdout and "/etc/portwatch.conf" in status.stdout
    owned = machine.run("stat", "-c", "%a %U:%G", "/etc/portwatch.conf", "/var/lib/portwatch", "/etc/portwatch/credentials")
    assert owned.stdout.split("\n")[:3] == ["640 root:portwatch", "750 portwatch:portwatch", "750 root:portwatch"]
    user = machine.run("ps", "-o", "user:20=", "-p", first.process.pid)
    assert user.stdout.strip() == "portwatch"

    # Learned first: what this listens on must be news.
    wait_until(lambda: "still learning" not in machine.run("portwatch", "status").stdout, 150)
    listener = subprocess.Popen(machine.command("/usr/bin/python3", "-m", "http.server", "8080"), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
    try:
        first.wait(r"WARNING 8080/tcp opened on all IPv4 addresses: python3", 30)
        assert machine.run("portwatch", "status").returncode == 1
    finally:
        listener.kill()
        listener.wait()
    assert first.stop() == 0

    assert machine.run("sh", "-c", "printf '[portwatch]\\nsettle = 1s\\n' > /etc/portwatch.conf").returncode == 0
    second = Install(machine, machine.directory / "second.log")
    second.wait(r"keeping /etc/portwatch\.conf", 120)
    second.wait(r"watching in the foreground", 30)
    wait_until(lambda: "running" in machine.run("portwatch", "status").stdout, 30)
    assert machine.run("cat", "/etc/portwatch.conf").stdout == "[portwatch]\nsettle = 1s\n"
    assert machine.run("stat", "-c", "%a", "/etc/portwatch.conf").stdout == "640\n"
    assert second.stop() == 0

    for page in ("man1/portwatch.1", "man5/portwatch.conf.5", "man8/portwatchd.8", "man3/portwatch-plugin.3"):
        assert machine.run("sh", "-c", f"ls /usr/share/man/{page}*").returncode == 0
