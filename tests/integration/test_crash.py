"""kill -9 at every stage of the pipeline: every event arrives, ids are stable, no incident opens twice."""

import collections
import json
import os
import random
import re
import subprocess
import time

import pytest

from harness import (ROOT, config_text, email_section, hook_section, learned_everywhere, posted_events, stays,
                     strict_mails, wait_until)

FAST = {"interval": "100ms", "settle": "300ms", "settle_closed": "300ms"}


def fault_points():
    """The names in the daemon's sources."""
    names = set()
    for path in sorted((ROOT / "src").rglob("*.c")):
        names |= set(re.findall(r'fault_point\("([^"]+)"\)', path.read_text()))
    return sorted(names)


def supports_faults(programs):
    return b"PORTWATCH_FAULT" in programs.daemon.read_bytes()


def audit(hook):
    """What must hold for everything that was posted: returns {port: [(type, event id)...] without repetitions}."""
    bodies = collections.defaultdict(set)
    for request in list(hook.requests):
        bodies[request.headers["webhook-id"]].add(request.body)
    # a retry never rewrites bytes
    assert all(len(seen) == 1 for seen in bodies.values()), bodies
    events = posted_events(hook)
    by_id = collections.defaultdict(set)
    for event in events:
        by_id[event["id"]].add(json.dumps({k: v for k, v in event.items() if k != "webhook-id"}, sort_keys=True))
    assert all(len(seen) == 1 for seen in by_id.values()), "an event changed under the same id"
    opened = collections.defaultdict(set)
    story = collections.defaultdict(list)
    for event in events:
        if not event["type"].startswith("portwatch.incident."):
            continue
        kind = event["type"].rsplit(".", 1)[1]
        entry = (kind, event["id"])
        if entry not in story[event["subject"]]:
            story[event["subject"]].append(entry)
        if kind == "opened":
            opened[event["data"]["incident"], event["subject"]].add(event["id"])
    assert all(len(ids) == 1 for ids in opened.values()), "an incident opened twice"
    for subject, entries in story.items():
        alternating = [kind for kind, _ in entries if kind in ("opened", "resolved")]
        assert all(a != b for a, b in zip(alternating, alternating[1:])), (subject, entries)
    return story


@pytest.mark.parametrize("point", fault_points() or ["none"])
@pytest.mark.parametrize("number", [1, 2])
def test_killed_at_a_fault_point_every_event_arrives(programs, watch, listeners, hook, mail, point, number):
    if point == "none" or not supports_faults(programs):
        pytest.skip("built without -Dfault_points=true")
    running = watch(config_text(FAST, hook_section(hook, group_wait="200ms") + email_section(mail, group_wait="200ms")),
                    started=False)
    running.start(ready=False, PORTWATCH_FAULT=f"{point}:{number}")
    # give it a story to be killed in: learned, opened, resolved
    held = None

    def crashed():
        return running.process.poll() is not None

    wait_until(lambda: crashed() or hook.requests and mail.raw_mails(), what=running.tail)
    if not crashed():
        held = listeners.start("tcp@0.0.0.0@8080", name="web")
        wait_until(lambda: crashed() or audit(hook)["tcp/8080"], what=running.tail)
    if not crashed():
        listeners.stop(held)
        held = None
    wait_until(crashed, what=f"never came past {point}")
    assert running.process.returncode == -9, running.log()
    running.kill()
    running.start()
    if held is None:
        held = listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: audit(hook)["tcp/8080"][-1:] and audit(hook)["tcp/8080"][-1][0] == "opened", 20, running.tail)
    listeners.stop(held)
    wait_until(lambda: audit(hook)["tcp/8080"][-1][0] == "resolved", 20, running.tail)
    assert any(e["type"] == "portwatch.baseline.learned" for e in posted_events(hook))
    wait_until(lambda: any("RESOLVED" in m["Subject"] for m in strict_mails(mail)[-1:]), 20, running.tail)
    ids = [m["Message-ID"] for m in strict_mails(mail)]
    texts = {}
    for one in strict_mails(mail):
        assert texts.setdefault(one["Message-ID"], one.get_body().get_content()) == one.get_body().get_content()
    assert len(ids) - len(set(ids)) <= 1, "more than one mail delivered twice for one crash"


def test_killed_after_a_refusal_the_other_notifier_is_told_of_it(programs, watch, listeners, hook, mail):
    if not supports_faults(programs):
        pytest.skip("built without -Dfault_points=true")
    running = watch(config_text(FAST, hook_section(hook, group_wait="100ms") +
                                email_section(mail, group_wait="100ms", events="notice")), started=False)
    running.start(ready=False, PORTWATCH_FAULT="after-result:3")  # two have been told what was learned
    learned_everywhere(hook, mail)
    hook.respond = lambda request: (400 if b"tcp/8080" in request.body else 200, {}, b"")
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: running.process.poll() is not None, what=running.tail)
    running.kill()
    running.start()
    wait_until(lambda: any("was refused for good" in m["Subject"] for m in strict_mails(mail)), what=running.tail)
    running.kill()
    running.start()
    listeners.start("tcp@0.0.0.0@8081", name="web")
    wait_until(lambda: audit(hook)["tcp/8081"], what=running.tail)
    assert sum("was refused for good" in m["Subject"] for m in strict_mails(mail)) == 1, "once"


@pytest.mark.slow
def test_killed_at_50_random_instants_every_event_arrives(watch, listeners, hook):
    seed = int(os.environ.get("PORTWATCH_SEED", random.randrange(1 << 32)))
    print(f"PORTWATCH_SEED={seed}")
    chance = random.Random(seed)
    running = watch(config_text(FAST, hook_section(hook, group_wait="100ms", max_per_hour="1000")), started=False)
    held = {}
    running.start()
    learned_everywhere(hook)
    for turn in range(50):
        port = 8000 + turn % 7
        if port in held:
            listeners.stop(held.pop(port))
        else:
            held[port] = listeners.start(f"tcp@0.0.0.0@{port}", name="web")
        time.sleep(chance.uniform(0, 1.2))
        running.kill()
        running.start(ready=False)
        time.sleep(chance.uniform(0, 0.3))
    wait_until(running.is_ready, 10)

    def told():
        story = audit(hook)
        return all((story[f"tcp/{port}"][-1:] or [("resolved", "")])[0][0] ==
                   ("opened" if port in held else "resolved") for port in range(8000, 8007))

    wait_until(told, 30, lambda: f"{audit(hook)}\n{running.tail()}")
    stays(told, 2)
    wait_until(lambda: running.json("status")["notifiers"][0]["waiting"] == 0, what=running.tail)
    quiet = len(hook.requests)
    running.stop()
    running.start()
    time.sleep(3)
    assert len(hook.requests) == quiet, "a restart told again what was told"


def test_a_restart_sends_nothing_that_was_sent(watch, listeners, hook):
    running = watch(config_text(FAST, hook_section(hook)))
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) == 2, 15)
    for end in (running.stop, running.kill):
        end()
        running.start()
        stays(lambda: len(hook.requests) == 2, 3, "told again")


def test_a_restart_does_send_what_changed_meanwhile(watch, listeners, hook):
    web = listeners.start("tcp@0.0.0.0@80", name="web")
    running = watch(config_text(FAST, hook_section(hook)))
    learned_everywhere(hook)
    running.stop()
    listeners.stop(web)
    listeners.start("tcp@0.0.0.0@8080", name="other")
    running.start()
    wait_until(lambda: set(audit(hook)) == {"tcp/80", "tcp/8080"}, 15, running.tail)


def test_messages_that_waited_when_it_was_killed_are_sent_after(watch, listeners, hook):
    running = watch(config_text(FAST, hook_section(hook)))
    learned_everywhere(hook)
    hook.respond = (503, {}, b"")
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) == 2, 15)
    running.kill()
    hook.respond = (204, {}, b"")
    running.start()
    wait_until(lambda: len(hook.requests) >= 3, 30, running.tail)
    assert {r.headers["webhook-id"] for r in hook.requests[1:]} == {hook.requests[1].headers["webhook-id"]}
    audit(hook)


def test_a_second_daemon_on_the_same_state_is_refused(watch, programs):
    running = watch(config_text())
    second = subprocess.run(running.command(), capture_output=True, text=True, timeout=180)
    assert second.returncode not in (0, -9)
    assert str(running.state) in second.stderr or "lock" in second.stderr.lower(), second.stderr
    assert running.process.poll() is None


def test_killed_children_of_a_dead_daemon_do_not_stay(watch, hook):
    running = watch(config_text(FAST, hook_section(hook)))
    hook.respond = "silent"
    wait_until(lambda: running.process and running.children(), 10)
    children = running.children()
    running.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 10, "EOF ends a child")
    hook.respond = (204, {}, b"")
