"""What systemd is told: readiness, reloads, one sentence of status, and a watchdog that only a working loop pets."""

import platform
import re
import sys
import time

import pytest

from harness import config_text, hook_section, kinds, posted_events, wait_until

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


def test_after_a_reload_status_answers_by_the_configuration_in_force(watch, listeners):
    # so many that a look takes its time: what was stored before the reload must not be what is shown after it
    for first in range(2000, 6000, 1000):
        listeners.start(*[f"tcp@127.0.0.1@{port}" for port in range(first, first + 1000)], name="many")
    running = watch(config_text())
    wait_until(lambda: running.json("status")["baseline"]["learned"], 60, running.tail)
    for port in range(8080, 8083):
        listeners.start(f"tcp@0.0.0.0@{port}", name="web")
        wait_until(lambda: running.json("status")["incidents"], 60, running.tail)
        reload_and_wait(running, config_text({"unlisted": "ignore"}))
        status = running.json("status")
        assert status["incidents"] == [] and status["coverage"]["configuration"] is None, status
        reload_and_wait(running, BAD)
        assert "portwatch.conf:2" in running.json("status")["coverage"]["configuration"]
        reload_and_wait(running, config_text())
        assert running.json("status")["coverage"]["configuration"] is None


def test_only_the_main_loop_pets_the_watchdog(watch):
    running = watch(config_text(), env={"WATCHDOG_USEC": "1000000"})
    mark = len(running.notified)
    wait_until(lambda: after(running, mark).count("WATCHDOG=1") >= 3, 30, "a loop that runs pets it")
    # Three plugins that never answer: together they may take no longer than one, and it is not petted meanwhile.
    text = reload_and_wait(running, config_text({}, "".join(HANGS.format(n) for n in ("one", "two", "three"))))
    assert "WATCHDOG=1" not in text, text
    assert re.search(r"\[notifier:one\] .*did not answer", running.log()), running.tail()
    assert re.search(r"\[notifier:three\] could not be asked", running.log()), running.tail()
    # What check-config lets through in its own good time the daemon would refuse.
    assert re.search(r"\[notifier:three\] could not be asked", running.cli("check-config").stderr)
    mark = len(running.notified)
    wait_until(lambda: "WATCHDOG=1" in after(running, mark), 30, "it pets again")


def test_a_long_fault_does_not_cost_the_readiness(watch):
    """systemd ignores the whole of a notification of more than 4096 bytes, READY=1 too."""
    running = watch(None, started=False)
    deep = running.directory
    while len(str(deep)) < 3700:
        deep = deep / ("d" * 200)
        deep.mkdir()
    running.config = deep / "portwatch.conf"
    running.configure(config_text())
    running.start()
    said = reload_and_wait(running, BAD * 3)
    assert "not taken at the last reload" in said and max(map(len, statuses(running))) <= 1024, said


# Runs a command for which socket(AF_NETLINK) answers EAFNOSUPPORT, as under RestrictAddressFamilies= without it.
NO_NETLINK = """
import ctypes, os, struct, sys
load, equal, leave = 0x20, 0x15, 0x06
code = [(load, 0, 0, 0), (equal, 0, 3, int(sys.argv[1])), (load, 0, 0, 16), (equal, 0, 1, 16), (leave, 0, 0, 0x50000 | 97),
        (leave, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
program = ctypes.create_string_buffer(struct.pack("@HP", 6, ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
"""
SOCKET_CALL = {"x86_64": 41, "aarch64": 198}


def test_a_unit_without_netlink_is_an_incident_and_no_flood_of_the_log(watch, listeners, hook):
    number = SOCKET_CALL.get(platform.machine())
    if number is None:
        pytest.skip("the number of socket(2) here is not known to this test")
    listeners.start("tcp@0.0.0.0@80", name="web")
    running = watch(config_text({}, hook_section(hook)), wrapper=[sys.executable, "-c", NO_NETLINK, str(number)])
    wait_until(lambda: any(e["data"].get("change") == "blind" for e in posted_events(hook)), 30, running.tail)
    event, = [e for e in posted_events(hook) if e["data"].get("change") == "blind"]
    assert "Address family not supported" in event["data"]["summary"], event
    assert re.match(r"Blind, .*\([A-Z2-9]{4}\)", statuses(running)[-1]), statuses(running)
    assert running.cli("status").returncode == 2
    before = running.log()
    time.sleep(2)  # ten looks
    assert running.log().count("\n") - before.count("\n") <= 2, running.tail()
    assert kinds(posted_events(hook)) == [("opened", "blind")]
