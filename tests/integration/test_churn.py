"""Under churn of SO_REUSEPORT groups dumps miss long-lived listeners: no false "closed", and nothing grows.

$PORTWATCH_TICKS sets how long it runs (10000 for the acceptance run; 600 in CI)."""

import os
import subprocess
import sys
import time

import pytest

from harness import config_text, hook_section, learned_everywhere, kinds, posted_events, wait_until, SLOW

TICKS = int(os.environ.get("PORTWATCH_TICKS", "600"))

CHURN = """
import os, socket, sys
def one(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("0.0.0.0", port))
    s.listen()
    return s
kept = [one(7000) for _ in range(8)]
print("ready", flush=True)
turn = 0
group = []
while True:
    group.append(one(7000))
    if len(group) > 60:
        group.pop(turn * 7 % 60).close()
    turn += 1
    if os.getppid() == 1:
        sys.exit()
"""


@pytest.mark.slow
def test_churn_of_a_reuseport_group_closes_nothing_and_nothing_grows(watch, listeners, hook):
    steady = [f"tcp@0.0.0.0@{port}" for port in range(5000, 5200)]
    listeners.start(*steady, name="steady")
    churn = subprocess.Popen([sys.executable, "-c", CHURN], stdout=subprocess.PIPE)
    try:
        churn.stdout.readline()
        running = watch(config_text({"interval": "100ms", "settle": "200ms", "settle_closed": "200ms"},
                                    hook_section(hook)))
        learned_everywhere(hook)
        # what the first message needed has come and gone
        wait_until(lambda: running.json("status")["notifiers"][0]["last_success"], what=running.tail)
        time.sleep(5)
        descriptors, rss = running.descriptors(), running.rss()
        end = time.monotonic() + TICKS / 10
        while time.monotonic() < end:
            time.sleep(1)
            assert running.process.poll() is None, running.log()
        print(f"{TICKS} ticks: {running.rss()} KiB RSS (was {rss}), {running.descriptors()} descriptors")
        assert kinds(posted_events(hook)) == [], running.log()
        # the notifier's child and its socket are gone by then, or will be
        assert running.descriptors() <= descriptors + 1
        # a sanitised build keeps what was freed
        assert SLOW > 1 or running.rss() <= rss + 1024
    finally:
        churn.kill()
        churn.wait()
        churn.stdout.close()
