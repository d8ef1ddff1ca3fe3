"""Plugins of third parties: one that works, one that tries every door, and many that are broken."""

import ctypes
import os
import pathlib
import platform
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

import harness

from notifydriver import driver  # noqa: F401
from servers import HttpServer, ca, wait_for  # noqa: F401

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "plugins"
HEADER = pathlib.Path(__file__).resolve().parents[2] / "src/plugins/plugin.h"

# their ports are nobody else's
pytestmark = pytest.mark.usefixtures("netns")


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

    def wait(self, n):
        """The sender does not wait for us."""
        harness.wait_until(lambda: len(self.lines) >= n, what=f"{n} connections")
        return self.lines

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
        wait_for(lambda: len(sink.lines) == 2, harness.PATIENCE)  # the plugin does not wait for an answer
    assert [(d.recipient, d.outcome) for d in run.deliveries] == [("ann", "delivered"), ("bob", "delivered")]
    assert sink.lines == [f'0b1c8e52-6f0a-4a63-9d3c-0d1f6f0e9a11|{name}|t0ken|a subject|{{"specversion":"1.0"}}\n'
                          for name in ("ann", "bob")]


def test_a_plugin_without_a_heartbeat_has_no_such_key(driver, third):
    assert driver.check("third", [("port", 1), ("heartbeat", "5m")], plugin_dir=third) == [
        "driver.conf:3: [notifier:drive] heartbeat: unknown key for plugin third"]


def test_what_a_plugin_says_is_escaped(driver, third):
    one = driver.run("third", {"port": 1}, plugin_dir=third).only
    assert one.outcome == "retry" and one.retry_after == 7
    assert one.reason == "cannot connect\\x0d\\x0a\\x1b[2J\\\\ ?"
    done = subprocess.run([*driver.command("third", [("port", 0), ("name", "a"), ("name", "bad")], plugin_dir=third),
                           "--check"], stdout=subprocess.PIPE)
    assert done.stdout.decode().splitlines() == ["driver.conf:4: [notifier:drive] name: is not a good\\x1b[2J name",
                                                 "driver.conf:2: [notifier:drive] port: is not a port"]


def test_a_hostile_plugin_finds_every_door_shut(driver, place, hostile_alone):
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
    "hang": "did not answer within 6 s and was killed", "garbage": "sent what is not an answer",
    "huge-frame": "sent what is not an answer", "liar": "sent what is not an answer", "close": "closed its connection",
}


@pytest.mark.parametrize("plugin", sorted(BROKEN))
def test_a_broken_plugin_stops_nobody_else(driver, plugin):
    if plugin == "crash" and sanitised(driver):
        pytest.skip("ASan turns the crash into an exit")
    with HttpServer() as server:
        run = driver.run("webhook", {"url": server.url}, "--beside", plugin, "--deadline", 6000, "--times", 3)
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
    ("older", "plugin older: it has a key heartbeat, and no heartbeat()"),
    ("wrong-abi", "plugin wrong-abi: it is made for another version of portwatch's plugin interface"),
    ("nothing", "plugin nothing: does not export pw_plugin_v1"),
    ("absent", "plugin absent: there is no such plugin"),
    ("../email", "a plugin's name is [a-z][a-z0-9-]{0,31}"),
    ("hang-configure", "plugin hang-configure did not answer within 6 s and was killed"),
])
def test_plugins_that_cannot_be_used(driver, plugin, fault):
    assert driver.check(plugin, (), "--deadline", 6000) == [f"driver.conf:1: [notifier:drive] {fault}"]
    run = driver.run(plugin, (), "--deadline", 6000)
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
        run = driver.run("webhook", good, "--idle", 200, "--linger", 3000)
        assert "rss none" in run.lines


def without_landlock():
    """Makes landlock_create_ruleset fail as it does in a kernel without it."""
    def instruction(code, jump_true, jump_false, k):
        return struct.pack("HBBI", code, jump_true, jump_false, k)

    program = (instruction(0x20, 0, 0, 0) + instruction(0x15, 0, 1, 444) + instruction(0x06, 0, 0, 0x00050000 | 38) +
               instruction(0x06, 0, 0, 0x7FFF0000))
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the number of the call is not known here")
def test_without_landlock_the_other_walls_stand_and_it_is_said(driver, hostile_alone):
    run = driver.run("hostile", preexec_fn=without_landlock)
    assert run.missing == ["started [landlock: this kernel has none]"]
    found = run.only.reason.split("open: ", 1)[1]
    # files that anybody may read are open then; everything that seccomp and the uid shut stays shut
    assert all(door.startswith(("read /etc/passwd", "read /tmp", "read /proc/self", "write /dev/null", "write /tmp",
                                "write /dev/shm", "inherited")) for door in found.split("; ")), found
    for path in ("/tmp/portwatch-hostile", "/dev/shm/portwatch-hostile"):
        pathlib.Path(path).unlink(missing_ok=True)


def children_of(pid):
    return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_child_dies_with_its_parent(driver):
    """A hung plugin does not see the end of its socket."""
    process = subprocess.Popen(driver.command("hang"), stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"started\n"
        [child] = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert wait_for(lambda: not pathlib.Path(f"/proc/{child}").exists() or
                        "State:\tZ" in pathlib.Path(f"/proc/{child}/status").read_text(), harness.PATIENCE)
    finally:
        process.kill()
        process.stdout.close()


def test_an_ordinary_user_can_run_it(driver):
    with HttpServer() as server:
        run = driver.run("webhook", {"url": server.url}, user=65534, group=65534, extra_groups=[])
    assert run.only.outcome == "delivered" and not run.missing
