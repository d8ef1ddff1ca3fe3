"""Drives one channel (tests/unit/notify/channel-driver.c) for the test_notify_* files."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

import harness


class Delivery:
    """One `delivery` line: recipient, outcome ("delivered", "retry", "refused"), code, retry_after (seconds), reason."""

    def __init__(self, line):
        recipient, self.outcome, code, wait, self.reason = re.fullmatch(
            r"delivery <(.*?)> (\w+) (\d+) (\d+) (.*)", line).groups()
        self.recipient, self.code, self.retry_after = recipient, int(code), int(wait) / 1e6


class Run:
    def __init__(self, lines):
        self.lines = lines
        self.deliveries = [Delivery(l) for l in lines if l.startswith("delivery ")]
        self.trouble = [l[5:] for l in lines if l.startswith("done ")]
        self.beside = [l[7:] for l in lines if l.startswith("beside ")]
        self.log = [l[4:] for l in lines if l.startswith("log ")]
        self.missing = [l for l in lines if l.startswith("started [")]

    @property
    def only(self):
        assert len(self.deliveries) == 1 and self.trouble == ["-"], self.lines
        return self.deliveries[0]


class Driver:
    """Programs and plugins of the build, copied to where any user may read them."""

    def __init__(self, build, directory):
        self.directory = directory
        self.plugins = directory / "plugins"
        self.plugins.mkdir()
        self.program = self._take(build / "tests/unit/notify/channel-driver", directory)
        self.worker = self._take(build / "src/notify/portwatch-notify", directory)
        for plugin in [*(build / "src/plugins").glob("*.so"), *(build / "tests/plugins").glob("*.so")]:
            self._take(plugin, self.plugins)

    @staticmethod
    def _take(source, directory):
        target = directory / source.name
        shutil.copy(source, target)
        target.chmod(0o755)
        return target

    def command(self, plugin, settings=(), *options, plugin_dir=None):
        items = settings.items() if isinstance(settings, dict) else settings
        sets = [part for key, value in items for part in ("--set", f"{key}={value}")]
        return [str(self.program), str(self.worker), str(self.plugins if plugin_dir is None else plugin_dir), plugin,
                *sets, *map(str, options)]

    def run(self, plugin, settings=(), *options, timeout=300, plugin_dir=None, env=None, **popen):
        done = subprocess.run(self.command(plugin, settings, *options, plugin_dir=plugin_dir), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, env={**os.environ, **(env or {})}, **popen)
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert not done.stderr, done.stderr
        assert b"a child is left" not in done.stdout
        return Run(done.stdout.decode().splitlines())

    def refused_size(self, *arguments):
        """True if channel_send says that the message is larger than a frame."""
        done = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, timeout=60)
        return done.returncode == 1 and done.stdout == b"send failed: Message too long\n"

    def check(self, plugin, settings=(), *options, plugin_dir=None):
        """The configuration's faults, as lines."""
        done = subprocess.run([*self.command(plugin, settings, *options, plugin_dir=plugin_dir), "--check"],
                              stdout=subprocess.PIPE, timeout=60)
        lines = done.stdout.decode().splitlines()
        assert done.returncode == (2 if lines else 0), done
        return lines


@pytest.fixture(scope="session")
def driver():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-driver-"))
    directory.chmod(0o755)
    yield Driver(harness.find_build(), directory)
    shutil.rmtree(directory, ignore_errors=True)
