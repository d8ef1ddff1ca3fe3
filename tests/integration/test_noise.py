"""Who is told what, and when: `events`, `severity` and `quiet` of a notifier; an alert about the alerting."""

import contextlib
import sqlite3
import time

from harness import config_text, hook_section, kinds, learned_everywhere, posted_events, wait_until
from servers import HttpServer

CRITICAL = "[port:9001-9009/tcp]\nseverity = critical\n\n"


def around_now():
    """A quiet time that has begun an hour ago and ends in two, as the clock on the wall shows it."""
    now = time.time()
    return "-".join(time.strftime("%H:%M", time.localtime(now + seconds)) for seconds in (-3600, 7200))


def waiting(running, *names):
    counts = {n["name"]: n["waiting"] for n in running.json("status")["notifiers"]}
    return [counts[name] for name in names]


def test_a_notifier_gets_its_events_of_its_severity_outside_of_its_quiet_times(watch, listeners, netns):
    with contextlib.ExitStack() as stack:
        everything, ends, urgent, night, silent = (stack.enter_context(HttpServer()) for _ in range(5))
        sections = (hook_section(everything, "everything", group_wait="200ms")
                    + hook_section(ends, "ends", group_wait="200ms", events="resolved")
                    + hook_section(urgent, "urgent", group_wait="200ms", severity="critical"))
        quiet = around_now()
        held = (hook_section(night, "night", group_wait="200ms", quiet=quiet)
                + hook_section(silent, "silent", group_wait="200ms", quiet=quiet, quiet_critical="wait"))
        running = watch(config_text({}, CRITICAL + sections + held))
        learned_everywhere(everything, urgent)

        plain = listeners.start("tcp@0.0.0.0@8001", name="web")
        wait_until(lambda: ("opened", "tcp/8001") in kinds(posted_events(everything)), what=running.tail)
        guest = listeners.start("tcp@0.0.0.0@9001", name="guest")
        for server in (everything, urgent, night):
            wait_until(lambda s=server: ("opened", "tcp/9001") in kinds(posted_events(s)), what=running.tail)
        listeners.stop(guest)
        listeners.stop(plain)
        for server in (everything, ends):
            wait_until(lambda s=server: {("resolved", "tcp/8001"), ("resolved", "tcp/9001")} <= set(kinds(posted_events(s))),
                       what=running.tail)
        for server in (urgent, night):
            wait_until(lambda s=server: ("resolved", "tcp/9001") in kinds(posted_events(s)), what=running.tail)

        assert set(kinds(posted_events(ends))) == {("resolved", "tcp/8001"), ("resolved", "tcp/9001")}
        assert all(e["type"].endswith("resolved") for e in posted_events(ends)), "what was learned is no resolved"
        for server in (urgent, night):
            assert kinds(posted_events(server)) == [("opened", "tcp/9001"), ("resolved", "tcp/9001")]
        assert not silent.requests
        # night: learned, and both of 8001; silent: both of 9001 too
        wait_until(lambda: waiting(running, "night", "silent") == [3, 5], what=running.tail)
        status = {n["name"]: n for n in running.json("status")["notifiers"]}
        assert status["everything"]["quiet_until"] is None and status["night"]["quiet_until"]
        shown = running.cli("status").stdout
        assert "night: quiet until " in shown and "; 3 events wait" in shown
        assert running.cli("test", "silent").returncode == 0, "a test is sent at once"
        assert [e["type"] for e in posted_events(silent)] == ["portwatch.test"]

        # the quiet time is over: all that waited is one message
        running.reloaded(config_text({}, CRITICAL + sections + held.replace(f"quiet = {quiet}\n", "")
                                     .replace("quiet_critical = wait\n", "")), "reloaded")
        for server, before in ((night, 2), (silent, 1)):
            wait_until(lambda s=server: any(e["type"].endswith("learned") for e in posted_events(s)), what=running.tail)
            assert len(server.requests) == before + 1, "as one message"
        assert {s for _, s in kinds(posted_events(silent))} == {"tcp/8001", "tcp/9001"}
        wait_until(lambda: all(n["waiting"] == 0 for n in running.json("status")["notifiers"]), what=running.tail)


def about(server):
    return [e["data"]["summary"] for e in posted_events(server) if e["subject"] == "delivery"]


def test_a_notifier_that_fails_is_told_of_by_the_other_once_over_restarts_and_when_it_works_again(watch, listeners, netns):
    with HttpServer() as dead, HttpServer() as other:
        dead.respond = (503, {}, b"")
        running = watch(config_text({}, hook_section(dead, "dead", group_wait="200ms")
                                    + hook_section(other, "other", group_wait="200ms")))
        learned_everywhere(other, dead)
        wait_until(lambda: running.json("status")["notifiers"][0]["failing_since"], what=running.tail)
        assert about(other) == [], "not at once"
        # twenty minutes pass
        running.stop()
        with contextlib.closing(sqlite3.connect(running.state / "portwatch.db")) as database, database:
            database.execute("UPDATE notifier SET failing_since = failing_since - 1200000000, omitted = 7,"
                             " omitted_from = failing_since, omitted_to = failing_since WHERE failing_since != 0")
        running.start()
        told = wait_until(lambda: about(other), what=running.tail)[0]
        assert "notifier dead gets nothing through since " in told and "503" in told and "1 event waits" in told, told
        running.stop()
        tries = len(dead.requests)
        running.start()
        wait_until(lambda: len(dead.requests) > tries, what=running.tail)
        listeners.start("tcp@0.0.0.0@8001", name="web")
        wait_until(lambda: ("opened", "tcp/8001") in kinds(posted_events(other)), what=running.tail)
        assert len(about(other)) == 1, "again after a restart"
        dead.respond = (204, {}, b"")
        running.reload()
        wait_until(lambda: len(about(other)) == 2, what=running.tail)
        assert about(other)[1] == "notifier dead works again"
        # what waited for it says nothing of itself
        wait_until(lambda: ("opened", "tcp/8001") in kinds(posted_events(dead)), what=running.tail)
        assert about(dead) == []
        # and what its queue had no room for is counted, once
        full = [e["data"]["summary"] for e in posted_events(dead) if e["subject"] == "queue"]
        assert len(full) == 1 and full[0].startswith("7 more events between "), full
