"""What systemd is told: readiness, reloads, one sentence of status, and a watchdog that only a working loop pets."""

import re
import time

from harness import config_text, hook_section, wait_until

BAD = "[portwatch]\nsettel = 1s\n"
HANGS = "[notifier:{}]\nplugin = hang-configure\n\n"


def statuses(running):
    return re.findall(r"(?m)^STATUS=(.*)$", running.notified)


def after(running, mark):
    return running.notified[mark:]


def reload_and_wait(running, text):
    """What was notified from RELOADING=1 to READY=1."""
    mark = len(running.notified)
    running.configure(text)
    running.reload()
    wait_until(lambda: re.search(r"(?s)RELOADING=1.*READY=1\nSTATUS=.*\n", after(running, mark)), 40, running.tail)
    return re.search(r"(?s)RELOADING=1.*?READY=1\nSTATUS=[^\n]*\n", after(running, mark)).group()


def test_status_is_a_sentence_that_names_ports_and_incidents(watch, listeners):
    listeners.start("tcp@0.0.0.0@80", "udp@0.0.0.0@53", name="web")
    running = watch(config_text())
    wait_until(lambda: "Watching 2 ports, no open incident; no notifier is configured" in statuses(running), 15,
               lambda: statuses(running))
    listeners.start("tcp@0.0.0.0@8080", name="other")
    wait_until(lambda: re.fullmatch(r"Watching 2 ports, 1 open incident \([A-Z2-9]{4} 8080/tcp\); no notifier is configured",
                                    statuses(running)[-1]), 15, lambda: statuses(running))
    token = running.json("status")["incidents"][0]["incident"]
    assert token in statuses(running)[-1]
    assert running.cli("accept", token).returncode == 0
    wait_until(lambda: statuses(running)[-1].startswith("Watching 3 ports, no open incident"), 15,
               lambda: statuses(running))


def test_status_says_that_a_notifier_gets_nothing_through(watch):
    running = watch(config_text({}, hook_section("http://127.0.0.1:1/", "nobody")))
    wait_until(lambda: statuses(running)[-1].endswith("; notifier nobody gets nothing through"), 15,
               lambda: statuses(running))


def test_a_reload_is_reported_whether_it_was_taken_or_not(watch):
    running = watch(config_text())
    taken = reload_and_wait(running, config_text())
    assert re.match(r"RELOADING=1\nMONOTONIC_USEC=\d+\n", taken), taken
    begun = int(re.search(r"MONOTONIC_USEC=(\d+)", taken).group(1))
    assert 0 < time.monotonic_ns() // 1000 - begun < 3600 * 10**6
    refused = reload_and_wait(running, BAD)
    assert re.search(r"READY=1\nSTATUS=.*not taken at the last reload.*portwatch\.conf:2: .*settel", refused), refused
    assert "not taken" not in reload_and_wait(running, config_text())
    running.stop()
    assert "STOPPING=1\nSTATUS=Stopping\n" in running.notified


def test_only_the_main_loop_pets_the_watchdog(watch):
    running = watch(config_text(), env={"WATCHDOG_USEC": "1000000"})
    mark = len(running.notified)
    wait_until(lambda: after(running, mark).count("WATCHDOG=1") >= 3, 30, "a loop that runs pets it")
    # Three plugins that never answer: together they may take no longer than one, and it is not petted meanwhile.
    text = reload_and_wait(running, config_text({}, "".join(HANGS.format(n) for n in ("one", "two", "three"))))
    assert "WATCHDOG=1" not in text, text
    assert re.search(r"\[notifier:one\] .*did not answer", running.log()), running.tail()
    assert re.search(r"\[notifier:three\] could not be asked", running.log()), running.tail()
    mark = len(running.notified)
    wait_until(lambda: "WATCHDOG=1" in after(running, mark), 30, "it pets again")
