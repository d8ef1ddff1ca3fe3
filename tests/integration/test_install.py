"""packaging/install.sh as a person runs it, on a copy of this machine where PID 1 is not systemd."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import ROOT, SLOW, wait_until
from overlay import machine, packages  # noqa: F401 (fixtures)

# A package is built; the same on every build.
pytestmark = [pytest.mark.slow, pytest.mark.plain]

@pytest.fixture
def checkout(machine):
    copy = machine.directory / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "build", "corpus", "__pycache__"), symlinks=True)
    return copy


class Install:
    """install.sh in the foreground, until it watches."""

    def __init__(self, machine, log, *arguments):
        self.log = log
        with open(log, "wb") as out:
            # what is built is another test's matter: without optimisation it takes a fraction of the time
            self.process = subprocess.Popen(machine.command(*arguments), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            env={**os.environ, "DEB_BUILD_OPTIONS": "noopt"})

    def text(self):
        return self.log.read_text(errors="replace")

    def wait(self, pattern, timeout):
        def there():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text()[-3000:]}"
            return re.search(pattern, self.text())
        return wait_until(there, timeout, self.text)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60 * SLOW)


def test_install_watches_at_once_and_again_keeps_what_was_edited(machine, checkout):
    script = checkout / "packaging/install.sh"
    first = Install(machine, machine.directory / "first.log", script, "--no-deps")
    first.wait(r"watching in the foreground", 400)
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

    # Again, with the package that the first time built.
    machine.shell("printf '[portwatch]\\nsettle = 1s\\n' > /etc/portwatch.conf")
    second = Install(machine, machine.directory / "second.log", script, "--no-deps", "--packages", checkout / "build/packages")
    second.wait(r"watching in the foreground", 60)
    second.wait(r"watching every port", 30)
    status = wait_until(lambda: (r := machine.run("portwatch", "status")).returncode != 2 and r, 30)
    assert "still learning" not in status.stdout
    assert machine.shell("cat /etc/portwatch.conf") == "[portwatch]\nsettle = 1s\n"
    assert machine.shell("stat -c %a /etc/portwatch.conf") == "640\n"
    assert second.stop() == 0


def test_install_takes_over_what_was_installed_by_hand(machine, checkout, packages):
    machine.shell("""
        rm -f /usr/sbin/policy-rc.d
        install -D /bin/true /usr/sbin/portwatchd
        install -D -m 0644 /dev/null /usr/lib/systemd/system/portwatch.service
        for page in man1/portwatch.1 man3/portwatch-plugin.3 man5/portwatch.conf.5 man8/portwatchd.8; do
            install -D -m 0644 /dev/null /usr/share/man/$page
        done
        install -D -m 0644 /dev/null /usr/include/portwatch/plugin.h
        printf '[portwatch]\\nsettle = 7s\\n' > /etc/portwatch.conf""")
    install = (checkout / "packaging/install.sh", "--no-deps", "--no-start", "--packages", packages)

    done = machine.run(*install)
    assert done.returncode == 0 and done.stdout.endswith("== installed, not started\n"), done.stdout + done.stderr
    assert machine.shell("cat /etc/portwatch.conf; ls /etc/portwatch.conf.d") == "[portwatch]\nsettle = 7s\n"
    assert machine.shell("stat -c '%a %U:%G' /etc/portwatch.conf") == "644 root:portwatch\n"
    assert machine.shell("portwatchd --version").startswith("portwatch")
    # All that is left of it belongs to the package now; dpkg knows the unit by the name it has in the package.
    for name in machine.shell("ls -d /usr/*/portwatch* /usr/lib/*/portwatch* /usr/lib/*/*/portwatch* /usr/share/*/*/portwatch*"
                              " 2>/dev/null || true").split():
        machine.shell(f"dpkg --search {name.replace('/usr/lib/systemd/system', '/lib/systemd/system')}")
    machine.shell("[ -s /lib/systemd/system/portwatch.service ] && [ ! -e /usr/sbin/policy-rc.d ]")

    # A configuration that is wrong is said, and stays.
    machine.shell("echo 'settel = 1s' >> /etc/portwatch.conf")
    done = machine.run(*install)
    assert done.returncode == 1 and "/etc/portwatch.conf has errors" in done.stderr
    assert "settel" in machine.shell("cat /etc/portwatch.conf")
