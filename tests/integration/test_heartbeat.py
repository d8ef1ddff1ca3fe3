"""A service elsewhere hears from portwatch as long as it watches, and only then."""

import contextlib
import os
import platform
import re
import signal
import sqlite3
import sys

import pytest

from harness import config_text, hook_section, learned_everywhere, posted_events, stays, wait_until
from servers import HttpServer
from test_service import NO_NETLINK, SOCKET_CALL

GOOD = (200, {}, b"OK")
HOUR = 3600


def beats(server):
    return [r for r in list(server.requests) if r.method == "GET"]


def hc_section(server, **keys):
    return hook_section(server, name="hc", **{"heartbeat": "1h", "events": "none", "group_wait": None, **keys})


@contextlib.contextmanager
def database(running):
    with contextlib.closing(sqlite3.connect(running.state / "portwatch.db", isolation_level=None, timeout=60)) as db:
        yield db


def tried(running):
    with database(running) as db:
        return db.execute("SELECT max(heartbeat_tried) FROM notifier").fetchone()[0] / 1e6


def age(running, seconds):
    """What is stored of the last heartbeat becomes older: nobody has to wait an hour. Returns when the next one is due."""
    with database(running) as db:
        assert db.execute("UPDATE notifier SET heartbeat_tried = heartbeat_tried - ? WHERE heartbeat_tried > 0",
                          (seconds * 1000000,)).rowcount == 1
    return tried(running) + HOUR


def health(running):
    return next(n for n in running.json("status")["notifiers"] if n["name"] == "hc")


def test_it_beats_at_its_interval_over_restarts_reloads_and_the_end_of_its_child(watch, listeners, hook):
    with HttpServer() as service:
        service.respond = GOOD
        text = config_text({}, hook_section(hook) + hc_section(service, header="X-Key: abc", max_per_hour=1))
        running = watch(text)
        learned_everywhere(hook)
        first = wait_until(lambda: beats(service), what=running.tail)[0]
        assert first.path == "/hook" and not first.body and first.headers["x-key"] == "abc"
        assert "content-type" not in first.headers and "webhook-id" not in first.headers
        wait_until(lambda: health(running)["last_heartbeat"], what=running.tail)
        assert health(running)["heartbeat"] == HOUR and "hc: last heartbeat" in running.cli("status").stdout
        # neither a reload nor a restart within the interval is a heartbeat more
        running.reloaded(text + "#\n", "configuration reloaded")
        running.stop()
        due = age(running, HOUR - 5)
        running.start()
        wait_until(lambda: len(beats(service)) == 2, what=running.tail)
        assert tried(running) >= due, "before its time"
        # an event goes on its way meanwhile, and not to who takes none
        listeners.start("tcp@0.0.0.0@8080", name="web")
        wait_until(lambda: any(e.get("subject") == "tcp/8080" for e in posted_events(hook)), what=running.tail)
        for child in running.children():
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: not running.children(), what=running.tail)
        assert running.cli("test", "hc").returncode == 0
        assert len(beats(service)) == 3, "it is tested by what it is for"
        running.kill()
        # long down: one heartbeat, not those that were missed
        age(running, 10 * HOUR)
        running.start()
        wait_until(lambda: len(beats(service)) == 4, what=running.tail)
        stays(lambda: len(beats(service)) == 4, 1, "those that were missed are missed")
        assert len(service.requests) == 4, "nothing but heartbeats"


def test_a_heartbeat_that_is_not_taken_is_a_failing_notifier_and_not_tried_again(watch, hook):
    with HttpServer() as service:
        service.respond = (500, {}, b"no")
        running = watch(config_text({}, hook_section(hook) + hc_section(service)))
        running.wait_log(r"notifier hc: the heartbeat was not taken, the next one follows: HTTP 500: no")
        failing = health(running)
        assert failing["failing_since"] and failing["last_error"] == "HTTP 500: no" and not failing["last_heartbeat"]
        assert "hc: no heartbeat was taken yet" in running.cli("status").stdout
        learned_everywhere(hook)
        stays(lambda: len(service.requests) == 1, 2, "tried again")
        running.stop()
        service.respond = GOOD
        age(running, HOUR)
        running.start()
        wait_until(lambda: health(running)["last_heartbeat"], what=running.tail)
        assert not health(running)["failing_since"]


@pytest.mark.skipif(platform.machine() not in SOCKET_CALL, reason="the number of socket(2) here is not known to this test")
def test_who_is_blind_sends_none(watch, hook):
    with HttpServer() as service:
        service.respond = GOOD
        running = watch(config_text({}, hook_section(hook) + hc_section(service)),
                        wrapper=[sys.executable, "-c", NO_NETLINK, str(SOCKET_CALL[platform.machine()])])
        wait_until(lambda: any(e["data"].get("change") == "blind" for e in posted_events(hook)), what=running.tail)
        assert not service.requests


def test_who_cannot_store_sends_none(watch, hook):
    with HttpServer() as service:
        service.respond = GOOD
        text = config_text({}, hook_section(hook) + hc_section(service))
        running = watch(text)
        learned_everywhere(hook)
        wait_until(lambda: health(running)["last_heartbeat"], what=running.tail)
        # the daemon hears of it with the reload; then nothing can be written while somebody else writes
        age(running, HOUR)
        with database(running) as db:
            db.execute("BEGIN IMMEDIATE")
            running.reloaded(text + "#\n", "configuration reloaded")
            running.wait_log(r"portwatch\.db is locked")
            stays(lambda: len(service.requests) == 1, 2, "a sign of life of who cannot store")
            db.execute("ROLLBACK")
        wait_until(lambda: len(service.requests) == 2, what=running.tail)


def test_what_makes_no_sense_is_an_error_of_the_configuration(watch):
    for section, expected in (
            ("plugin = webhook\nurl = https://x/\nformat = slack\nheartbeat = 5m",
             r"portwatch\.conf:\d+: \[notifier:hc\] heartbeat: slack does not watch for signs of life"),
            ("plugin = email\nserver = smtp://localhost\nfrom = a@x\nto = b@x\nheartbeat = 5m",
             r"portwatch\.conf:\d+: \[notifier:hc\] heartbeat: unknown key for plugin email")):
        running = watch(config_text({}, f"[notifier:hc]\n{section}\n"), started=False)
        result = running.cli("check-config")
        assert result.returncode == 2
        assert re.search(expected, result.stdout + result.stderr), result.stderr
