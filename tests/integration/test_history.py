"""portwatch history, as a person reads it."""

import re
import subprocess

from harness import config_text, wait_until

ROW = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ +(\S+) +(\S+)")


def test_follow_tells_what_is_counted_further(watch, listeners, place):
    web = listeners.start("tcp@0.0.0.0@80", name="web")
    running = watch(config_text({"settle": "300ms", "settle_closed": "10m"}))
    running.wait_log("(?i)learned|watching 1 port")
    follow = subprocess.Popen([running.programs.cli, "--config", running.config, "--state-dir", running.state, "history",
                               "80", "--follow"], stdout=open(place / "follow", "wb"))

    def rows(pattern):
        return re.findall(pattern, (place / "follow").read_text())

    try:
        for times in (1, 2, 3):
            listeners.stop(web)
            wait_until(lambda: "closed" in running.cli("diff").stdout, 10)
            running.look_at(listeners)
            web = listeners.start("tcp@0.0.0.0@80", name="web")
            wait_until(lambda: len(rows(r"bounced")) == times, 15, lambda: (place / "follow").read_text())
        assert rows(r"\(3 times, last \d{4}-")
    finally:
        follow.kill()
        follow.wait()
    text = running.cli("history").stdout
    assert all(ROW.match(line) for line in text.splitlines()), text
    assert len({line.index(ROW.match(line)[2]) for line in text.splitlines() if "80/tcp" in line}) == 1
    assert len(re.findall("bounced", text)) == 1
