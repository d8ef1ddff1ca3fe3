"""Other network namespaces: seen, named, told as one where they end, counted where they are not seen."""

import contextlib
import ctypes
import os
import subprocess
import uuid

import pytest

from harness import config_text, hook_section, posted_events, stays, wait_until

ALL = {"namespaces": "all", "settle": "1s", "settle_closed": "4s"}


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def spaces(netns):
    """spaces(name) makes a namespace as `ip netns` does; names are unique on the machine."""
    made = set()

    class Spaces:
        tag = uuid.uuid4().hex[:8]

        def name(self, name):
            return f"pw-{self.tag}-{name}"

        def add(self, name):
            run("ip", "netns", "add", self.name(name))
            made.add(self.name(name))
            run("ip", "-n", self.name(name), "link", "set", "lo", "up")
            # one end here, one there: it goes with the namespace, when nobody keeps that any more
            run("ip", "link", "add", f"pw-{name}", "type", "veth", "peer", "name", "there", "netns", self.name(name))

        def delete(self, name):
            run("ip", "netns", "del", self.name(name))
            made.discard(self.name(name))

        def freed(self, name):
            return subprocess.run(["ip", "link", "show", f"pw-{name}"], capture_output=True, check=False).returncode != 0

    yield Spaces()
    for name in made:
        subprocess.run(["ip", "netns", "del", name], check=False)


@contextlib.contextmanager
def inside(name):
    """What is started within lives in that namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        assert libc.setns(there, 0x40000000) == 0
        yield
    finally:
        assert libc.setns(home, 0x40000000) == 0
        os.close(there)
        os.close(home)


def told_in(hook, name):
    """(type, subject, change) of what was told of one namespace: others are of other tests."""
    return [(e["type"].rsplit(".", 1)[1], e["subject"].replace(name, "NAME"), e["data"]["change"])
            for e in posted_events(hook) if name in e["subject"]]


def configuration(hook, keys=None):
    # namespaces of the tests that run beside this one are told of as well
    return config_text({**ALL, **(keys or {})}, hook_section(hook, secret=hook.secret, group_wait="1s", max_per_hour="3600"))


def test_ports_are_told_where_they_are_and_an_end_is_one_event(watch, listeners, spaces, hook):
    name = spaces.name("blue")
    spaces.add("blue")
    with inside(name):
        web = listeners.start("tcp@0.0.0.0@443", name="web")
    listeners.start("tcp@0.0.0.0@443", name="host")
    one = watch(configuration(hook))
    wait_until(lambda: len(hook.requests) >= 1, 15, one.tail)
    listed = [e for e in one.json("list", "443/tcp")["endpoints"] if e["namespace"] == f"netns:{name}"]
    assert [(e["port"], e["baseline"], e["owner"]["pid"]) for e in listed] == [(443, "match", web.pid)]
    with inside(name):
        more = listeners.start("tcp@0.0.0.0@8080", "udp@0.0.0.0@8081", name="more")
    wait_until(lambda: len(told_in(hook, name)) == 2, 20, one.tail)
    assert sorted(told_in(hook, name)) == [("opened", "netns:NAME/tcp/8080", "opened"),
                                           ("opened", "netns:NAME/udp/8081", "opened")]
    event = next(e for e in posted_events(hook) if e["subject"] == f"netns:{name}/tcp/8080")
    assert f"8080/tcp in namespace {name} opened" in event["data"]["summary"]
    assert event["data"]["namespace"] == event["data"]["after"][0]["namespace"] == f"netns:{name}"
    for e in posted_events(hook):
        if name in e["subject"]:
            assert one.cli("accept", e["data"]["incident"]).returncode == 0
    wait_until(lambda: len(told_in(hook, name)) == 4, 20, one.tail)
    # All of it ends: processes and name. One event, and our sockets do not keep it.
    assert not spaces.freed("blue")
    listeners.stop(web)
    listeners.stop(more)
    spaces.delete("blue")
    wait_until(lambda: len(told_in(hook, name)) == 5, 30, one.tail)
    assert told_in(hook, name)[4] == ("opened", "netns:NAME", "closed")
    event = [e for e in posted_events(hook) if e["subject"] == f"netns:{name}"][-1]
    assert f"namespace {name} closed, all its 3 ports" in event["data"]["summary"]
    assert len(event["data"]["before"]) == 3 and event["data"]["protocol"] is None
    wait_until(lambda: spaces.freed("blue"), 60, one.tail)
    # Over a restart it stays one incident, and it ends when the namespace is made anew.
    one.stop()
    one.start()
    spaces.add("blue")
    with inside(name):
        listeners.start("tcp@0.0.0.0@443", name="web")
        listeners.start("tcp@0.0.0.0@8080", "udp@0.0.0.0@8081", name="more")
    wait_until(lambda: len(told_in(hook, name)) == 6, 30, one.tail)
    assert told_in(hook, name)[5] == ("resolved", "netns:NAME", "closed")


def test_a_namespace_made_anew_within_the_settle_time_is_no_message(watch, listeners, spaces, hook):
    name = spaces.name("green")
    spaces.add("green")
    with inside(name):
        web = listeners.start("tcp@0.0.0.0@80", "tcp@0.0.0.0@443", name="web")
    one = watch(configuration(hook, {"settle_closed": "10m"}))
    wait_until(lambda: len(hook.requests) >= 1, 15, one.tail)
    listeners.stop(web)
    spaces.delete("green")
    wait_until(lambda: spaces.freed("green"), 60, one.tail)  # the daemon has seen that it is gone, and let it go
    spaces.add("green")
    with inside(name):
        listeners.start("tcp@0.0.0.0@80", "tcp@0.0.0.0@443", name="web")
    wait_until(lambda: "bounced" in one.history(), 20, one.tail)
    stays(lambda: told_in(hook, name) == [], 3, "a restart was told")


def test_what_is_not_seen_is_counted(watch, spaces, listeners, hook):
    name = spaces.name("dark")
    one = watch(configuration(hook, {"namespaces": "host"}))
    wait_until(lambda: len(hook.requests) >= 1, 15, one.tail)
    spaces.add("dark")
    with inside(name):
        listeners.start("tcp@0.0.0.0@443", name="web")
    coverage = one.json("list")["coverage"]
    assert coverage["namespaces_unseen"] >= 1 and coverage["namespaces_seen"] == 0
    assert any("other network namespace" in line for line in coverage["not_seen"])
    assert not [e for e in one.json("list")["endpoints"] if e["namespace"] != "host"]


def test_switched_on_by_a_reload_what_is_there_is_no_news(watch, spaces, listeners, hook):
    name = spaces.name("red")
    spaces.add("red")
    with inside(name):
        listeners.start("tcp@0.0.0.0@443", name="web")
    one = watch(configuration(hook, {"namespaces": "host"}))
    wait_until(lambda: len(hook.requests) >= 1, 15, one.tail)
    one.configure(configuration(hook))
    one.reload()
    wait_until(lambda: f"443/tcp in namespace {name}" in one.history(), 20, one.tail)
    assert "learned" in one.history("443")
    with inside(name):
        listeners.start("tcp@0.0.0.0@444", name="more")
    wait_until(lambda: told_in(hook, name) == [("opened", "netns:NAME/tcp/444", "opened")], 20, one.tail)


def test_without_the_capability_it_is_said(watch, spaces, listeners, hook):
    name = spaces.name("closed")
    spaces.add("closed")
    with inside(name):
        listeners.start("tcp@0.0.0.0@443", name="web")
    one = watch(configuration(hook), wrapper=("setpriv", "--bounding-set", "-sys_admin"))
    wait_until(lambda: len(hook.requests) >= 1, 15, one.tail)
    coverage = one.json("status")["coverage"]
    assert coverage["namespaces_unseen"] >= 1 and coverage["namespaces_seen"] == 0
    assert any("CAP_SYS_ADMIN" in line for line in coverage["not_seen"]), coverage
    assert name not in one.history()


def test_hostile_names_are_escaped(watch, spaces, listeners, hook):
    hostile = spaces.name("x\n\x1b[2Jy<b>")
    run("ip", "netns", "add", hostile)
    try:
        one = watch(configuration(hook))
        wait_until(lambda: len(hook.requests) >= 1, 15, one.tail)
        with inside(hostile):
            listeners.start("tcp@0.0.0.0@443", name="web")
        tag = spaces.tag
        wait_until(lambda: told_in(hook, tag), 20, one.tail)
        for text in (one.history(), one.cli("list").stdout, one.cli("status").stdout,
                     *[e["subject"] + e["data"]["summary"] for e in posted_events(hook)]):
            text = text if isinstance(text, str) else text.decode()
            assert "\x1b[2J" not in text and "x\n\x1b" not in text
        assert any("\\x0a\\x1b[2Jy" in e["subject"] for e in posted_events(hook))
    finally:
        listeners.stop_all()
        subprocess.run(["ip", "netns", "del", hostile], check=False)
