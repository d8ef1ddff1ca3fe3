"""With no configuration at all, without a notifier, without a mail server: it watches and says so."""

import json
import re
import subprocess
import time

from harness import ROOT, config_text, hook_section, kinds, posted_events, wait_until


def shipped():
    return (ROOT / "conf" / "portwatch.conf").read_text()


def test_the_shipped_configuration_is_good(watch):
    running = watch(shipped(), started=False)
    result = running.cli("check-config")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_first_run_in_the_foreground_shows_events_on_stderr(watch, listeners):
    listeners.start("tcp@0.0.0.0@80", name="web")
    text = re.sub(r"(?m)^\[portwatch\]$", "[portwatch]\ninterval = 200ms\nsettle = 1s\nsettle_closed = 1s\nboot_grace = 0s",
                  shipped(), count=1)
    running = watch(text)
    running.wait_log(r"(?i)learned")
    other = listeners.start("tcp@0.0.0.0@8080", name="other")
    running.wait_log(r"8080/tcp.*other")
    listeners.stop(other)
    running.wait_log(r"RESOLVED.*8080/tcp|8080/tcp.*(?i:resolved)")


def test_status_without_a_notifier_says_so(watch):
    running = watch(config_text())
    result = wait_until(lambda: (lambda r: r if r.returncode == 0 else None)(running.cli("status")), 10)
    assert re.search(r"(?i)no notifier", result.stdout), result.stdout


def test_the_first_notifier_may_come_later_and_learns_what_was_learned_before(watch, listeners, hook):
    """As a package does it: it watches at once with the file as shipped; status says what to do, and that works."""
    listeners.start("tcp@0.0.0.0@80", name="web")
    text = re.sub(r"(?m)^#\[portwatch\]$", "[portwatch]\ninterval = 200ms\nsettle = 1s\nboot_grace = 0s", shipped(), count=1)
    running = watch(text)
    running.wait_log(r"(?i)learned")
    status = running.cli("status")
    assert status.returncode == 0, status.stdout + status.stderr
    told = " ".join(status.stdout.split())
    for step in ("No notifier is configured", "[notifier:NAME]", str(running.config), "sudo systemctl reload portwatch",
                 "sudo portwatch test"):
        assert step in told, step

    listeners.start("tcp@0.0.0.0@8080", name="other")
    running.wait_log(r"8080/tcp.*other")
    running.reloaded(text + hook_section(hook), r"(?i)reload|configuration")
    first = wait_until(lambda: posted_events(hook), 15)[0]
    assert first["type"] == "portwatch.baseline.learned"
    ports = [endpoint["port"] for endpoint in first["data"]["after"]]
    assert 80 in ports and 8080 not in ports, first
    # what opened before there was anybody to tell it to is not left to a reminder of tomorrow
    wait_until(lambda: ("reminder", "tcp/8080") in kinds(posted_events(hook)), 10)
    assert running.cli("test").returncode == 0
    assert "No notifier" not in running.cli("status").stdout


def test_status_without_a_daemon_exits_2(watch):
    running = watch(config_text())
    running.stop()
    result = running.cli("status")
    assert result.returncode == 2 and re.search(r"(?i)not running", result.stdout + result.stderr)


def test_list_needs_neither_daemon_nor_database(programs, listeners, place):
    listeners.start("tcp@0.0.0.0@80", name="web")
    result = subprocess.run([programs.cli, "--config", place / "none", "--state-dir", place / "none", "list", "--json"],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert [e["port"] for e in json.loads(result.stdout)["endpoints"]] == [80]


def test_commands_that_need_the_daemon_change_nothing_without_it(watch, listeners):
    running = watch(config_text())
    listeners.start("tcp@0.0.0.0@8080", name="web")
    running.wait_log("8080/tcp")
    running.stop()
    before = running.cli("diff").stdout
    for command in (["accept", "8080"], ["accept", "--all"], ["ack", "AAAA"], ["pause", "1h"], ["resume"]):
        assert running.cli(*command).returncode == 2, command
    assert running.cli("test").returncode == 1
    assert running.cli("diff").stdout == before and "8080" in before


def test_usage_errors_exit_64(programs):
    for arguments in ([], ["nonsense"], ["list", "--nonsense"], ["accept"], ["pause"], ["list", "70000"]):
        result = subprocess.run([programs.cli, *arguments], capture_output=True, text=True)
        assert result.returncode == 64, (arguments, result.stdout, result.stderr)


def test_diff_answers_in_its_exit_code(watch, listeners):
    running = watch(config_text())
    wait_until(lambda: running.cli("diff").returncode == 0, 5)
    listeners.start("tcp@0.0.0.0@8080", name="web")
    result = running.cli("diff")
    assert result.returncode == 1
    assert re.search(r"^\+ tcp +0\.0\.0\.0:8080 ", result.stdout, re.M), result.stdout
    assert running.cli("diff", "80").returncode == 0


def test_pause_keeps_history_but_tells_nothing(watch, listeners):
    running = watch(config_text())
    running.wait_log(r"(?i)learned")
    assert running.cli("pause", "1h", "8080").returncode == 0
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: "8080/tcp" in running.history("8080"), 10)
    time.sleep(2)
    assert running.json("status")["incidents"] == []
    assert running.cli("resume", "8080").returncode == 0
    wait_until(lambda: running.json("status")["incidents"], 10, "told after the pause")
