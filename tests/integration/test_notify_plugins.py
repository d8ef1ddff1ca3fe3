"""Plugins of third parties: one that works, one that tries every door, and many that are broken."""

import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import threading

import pytest

from notifydriver import driver  # noqa: F401
from servers import HttpServer, ca  # noqa: F401

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "plugins"
HEADER = pathlib.Path(__file__).resolve().parents[2] / "src/plugins/plugin.h"


@pytest.fixture(params=["cc", "c++"])
def third(request, driver, place):
    """third.c, built as a stranger builds it: from the header alone."""
    (place / "include/portwatch").mkdir(parents=True)
    shutil.copy(HEADER, place / "include/portwatch/plugin.h")
    language = "c" if request.param == "cc" else "c++"
    compiler = shutil.which(request.param) or shutil.which("clang++")
    directory = place / "plugins"
    directory.mkdir()
    subprocess.run([compiler, "-x", language, "-std=c99" if language == "c" else "-std=c++11", "-D_GNU_SOURCE", "-Wall",
                    "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-I", place / "include", SOURCES / "third.c", "-o", directory / "third.so"], check=True)
    return directory


class Sink:
    """Keeps what is sent to a TCP port."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.lines = self._listener.getsockname()[1], []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self.lines.append(peer.makefile().read())

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def test_a_third_partys_plugin_works(driver, third, place):
    (place / "names").write_text("ann\nbob\n")
    (place / "token").write_text("t0ken\n")
    with Sink() as sink:
        run = driver.run("third", {"port": sink.port, "credential": "token", "name_file": place / "names"}, "--credentials",
                         place, plugin_dir=third)
    assert [(d.recipient, d.outcome) for d in run.deliveries] == [("ann", "delivered"), ("bob", "delivered")]
    assert sink.lines == [f'0b1c8e52-6f0a-4a63-9d3c-0d1f6f0e9a11|{name}|t0ken|a subject|{{"specversion":"1.0"}}\n'
                          for name in ("ann", "bob")]


def test_what_a_plugin_says_is_escaped(driver, third):
    one = driver.run("third", {"port": 1}, plugin_dir=third).only
    assert one.outcome == "retry" and one.retry_after == 7
    assert one.reason == "cannot connect\\x0d\\x0a\\x1b[2J\\\\ ?"
    done = subprocess.run([*driver.command("third", [("port", 0), ("name", "a"), ("name", "bad")], plugin_dir=third),
                           "--check"], stdout=subprocess.PIPE)
    assert done.stdout.decode().splitlines() == ["driver.conf:4: [notifier:drive] name: is not a good\\x1b[2J name",
                                                 "driver.conf:2: [notifier:drive] port: is not a port"]


def test_a_hostile_plugin_finds_every_door_shut(driver, place):
    nobody = pwd.getpwnam("portwatch" if any(u.pw_name == "portwatch" for u in pwd.getpwall()) else "nobody")
    inside = place / "state"
    inside.mkdir(0o700)
    files = {"secret_path": inside / "secret", "database": inside / "portwatch.db"}
    for path in files.values():
        path.write_text("x")
        path.chmod(0o400 if path.name == "secret" else 0o600)
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    os.chown(inside, nobody.pw_uid, nobody.pw_gid)
    # the uid alone opens them all: what the walls are for
    subprocess.run(["/bin/sh", "-c", f"cat {files['secret_path']} && : >>{files['database']} && touch {inside}/x && rm {inside}/x"],
                   check=True, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], stdout=subprocess.DEVNULL)
    run = driver.run("hostile", {**files, "probe": inside}, env={"HOME": "/root", "CREDENTIALS_DIRECTORY": "/x"})
    if run.missing:
        pytest.skip(f"this kernel lacks walls: {run.missing}")
    tried, uid, found = re.fullmatch(r"tried (\d+) doors as uid (\d+), open: (.*)", run.only.reason).groups()
    assert found == "none" and int(tried) >= 90 and int(uid) == nobody.pw_uid
    assert sorted(p.name for p in inside.iterdir()) == ["portwatch.db", "secret"]
    assert not pathlib.Path("/tmp/portwatch-hostile").exists()


BROKEN = {
    "crash": "was killed by SIGSEGV", "abort": "was killed by SIGABRT", "exit": "exited with status 7",
    "hang": "did not answer within 2 s and was killed", "garbage": "sent what is not an answer",
    "huge-frame": "sent what is not an answer", "liar": "sent what is not an answer", "close": "closed its connection",
}


@pytest.mark.parametrize("plugin", sorted(BROKEN))
def test_a_broken_plugin_stops_nobody_else(driver, plugin):
    if plugin == "crash" and sanitised(driver):
        pytest.skip("ASan turns the crash into an exit")
    with HttpServer() as server:
        run = driver.run("webhook", {"url": server.url}, "--beside", plugin, "--deadline", 2000, "--times", 3)
        assert [d.outcome for d in run.deliveries] == ["delivered"] * 3
    deliveries = [l for l in run.beside if l.startswith("delivery")]
    assert deliveries and all("retry" in l and BROKEN[plugin] in l for l in deliveries), run.beside


def sanitised(driver):
    return b"__asan_init" in driver.worker.read_bytes()


@pytest.mark.plain
def test_a_plugin_cannot_eat_the_memory(driver):
    one = driver.run("eat").only
    eaten = int(re.fullmatch(r"no memory after (\d+) MiB", one.reason).group(1))
    assert 100 < eaten < 256


def test_one_crash_does_not_cost_the_other_recipient(driver):
    run = driver.run("second")
    assert [(d.recipient, d.outcome) for d in run.deliveries] == [("one", "retry"), ("two", "delivered")]


def test_output_is_bounded_and_escaped(driver):
    run = driver.run("chatty")
    assert run.only.outcome == "delivered"
    assert 10 < len(run.log) < 30 and run.log[0] == "line 0 of \\x1b[2J many"


@pytest.mark.parametrize("plugin,fault", [
    ("wrong-abi", "plugin wrong-abi: it is made for another version of portwatch's plugin interface"),
    ("nothing", "plugin nothing: does not export pw_plugin_v1"),
    ("absent", "plugin absent: there is no such plugin"),
    ("../email", "a plugin's name is [a-z][a-z0-9-]{0,31}"),
    ("hang-configure", "plugin hang-configure did not answer within 2 s and was killed"),
])
def test_plugins_that_cannot_be_used(driver, plugin, fault):
    assert driver.check(plugin, (), "--deadline", 2000) == [f"driver.conf:1: [notifier:drive] {fault}"]
    run = driver.run(plugin, (), "--deadline", 2000)
    assert run.trouble == [fault] and not run.deliveries


def test_the_installed_directory_must_be_roots(driver, place):
    """Without --plugin-dir only a root-owned directory will do; its path is built in, so look at the program's answer."""
    run = driver.run("email", plugin_dir="")
    assert run.trouble != ["-"] and not run.deliveries


def test_the_child_ends_when_idle_and_is_small(driver, ca):
    with HttpServer(context=ca.server_context()) as server:
        good = {"url": server.url, "ca_file": ca.ca}
        run = driver.run("webhook", good, "--linger", 300)
        rss = {l.split()[1]: int(l.split()[2]) for l in run.lines if l.startswith("rss ")}
        if not sanitised(driver):
            assert rss["RssAnon:"] < 5 * 1024, rss
        run = driver.run("webhook", good, "--idle", 200, "--linger", 800)
        assert "rss none" in run.lines
