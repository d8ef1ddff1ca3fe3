"""explain beside an open incident: what was seen when the port changed is said next to what is true now."""

import json
import subprocess
import sys

from harness import config_text, wait_until

PORT = 7071
CLOSES = f"""
import socket, sys
s = socket.create_server(("0.0.0.0", {PORT}))
print("ready", flush=True)
sys.stdin.readline()
s.close()
print("closed", flush=True)
sys.stdin.readline()
"""


def explained(watch, *more):
    return watch.json("explain", str(PORT), "--cause-program", str(watch.programs.cause), *more)["protocols"][0]


def test_the_cause_at_the_time_and_the_cause_now(watch, listeners):
    app = subprocess.Popen([sys.executable, "-c", CLOSES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert app.stdout.readline() == "ready\n"
        running = watch(config_text())
        wait_until(lambda: running.json("status")["baseline"]["learned"], 15, "learned")
        assert explained(running)["told"] is None
        app.stdin.write("\n")
        app.stdin.flush()
        assert app.stdout.readline() == "closed\n"
        token = wait_until(lambda: running.json("status")["incidents"], 30, running.tail)[0]["incident"]
        case = explained(running)
        assert case["incident"] == token
        assert case["told"]["change"] == "closed" and case["told"]["cause"]["process"] == "alive", case["told"]
        assert case["told"]["cause"]["summary"] == case["cause"]["summary"]
        assert "told" not in [f["kind"] for f in case["findings"]], "nothing new: not said twice"
    finally:
        app.kill()
        app.communicate()
    # gone, after the mail was sent: the incident knows it alive
    case = explained(running)
    assert case["cause"]["process"] == "gone" and case["told"]["cause"]["process"] == "alive", case
    then = f"Process {app.pid} is alive and has closed the socket"
    assert case["told"]["cause"]["summary"] == then
    told = [f["text"] for f in case["findings"] if f["kind"] == "told"]
    assert len(told) == 1 and told[0].startswith("when it closed, at ") and told[0].endswith(f": {then}"), case
    people = running.cli("explain", str(PORT), "--cause-program", str(running.programs.cause)).stdout
    assert told[0] in people and f"Process {app.pid} has ended" in people, people
    # the database tells it without the daemon as well
    running.stop()
    assert explained(running)["told"]["cause"]["process"] == "alive"


def test_who_cannot_see_what_is_expected_is_sent_to_root(watch):
    running = watch(config_text())
    result = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all",
                             str(running.programs.cli), "--config", str(running.config), "--state-dir",
                             str(running.state), "explain", str(PORT), "--json"], capture_output=True, text=True)
    told = json.loads(result.stdout)
    assert result.returncode == 1 and told["protocols"][0]["expectation_known"] is False
    assert told["next"] == f"sudo portwatch explain {PORT}"
