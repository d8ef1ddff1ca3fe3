"""What must not be told: restarts, other ports, connections. One line of history each, no message."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest

from harness import (Watch, config_text, email_section, hook_section, kinds, learned_everywhere, mail_text,
                     posted_events, stays, strict_mails, wait_until)

INIT = pathlib.Path(__file__).with_name("init.py")


def bounces(watch, port):
    """Lines of history of a port, but for the first learning."""
    return [line for line in watch.history(str(port)).splitlines()
            if re.search(rf"\b{port}/tcp\b", line) and "learned" not in line]


def silent(mail, hook, seconds, mails=1, posts=1):
    stays(lambda: len(mail.raw_mails()) == mails and len(hook.requests) == posts, seconds, "something was told")


def notifiers(mail, hook):
    return email_section(mail, group_wait="200ms") + hook_section(hook, secret=hook.secret, group_wait="200ms")


def test_80_is_watched_and_8080_opens_nothing_is_said_about_80(watch, listeners, mail, hook):
    listeners.start("tcp@0.0.0.0@80", name="web")
    watch(config_text({}, "[port:80/tcp]\n\n" + notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    other = listeners.start("tcp@0.0.0.0@8080", name="other")
    wait_until(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 15)
    listeners.stop(other)
    wait_until(lambda: len(mail.raw_mails()) == 3 and len(hook.requests) == 3, 15)
    assert {subject for _, subject in kinds(posted_events(hook))} == {"tcp/8080"}
    for told in strict_mails(mail)[1:]:
        assert not re.search(r"(?<!\d)80/tcp|:80\b", told["Subject"] + mail_text(told))


def test_80_is_watched_alone_and_8080_opens_nothing_is_said_at_all(watch, listeners, mail, hook):
    listeners.start("tcp@0.0.0.0@80", name="web")
    watch(config_text({"unlisted": "ignore"}, "[port:80/tcp]\n\n" + notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    listeners.start("tcp@0.0.0.0@8080", name="other")
    silent(mail, hook, 4)


def test_connections_of_clients_are_no_changes(watch, listeners, mail, hook):
    server = socket.create_server(("0.0.0.0", 80), backlog=256)
    watch(config_text({}, "[port:80/tcp]\n\n" + notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    kept = []
    for _ in range(100):
        kept += [socket.create_connection(("127.0.0.1", 80)), server.accept()[0]]
    silent(mail, hook, 2)
    for one in kept:
        one.close()
    silent(mail, hook, 2)
    server.close()


def test_a_restart_within_settle_is_one_line_of_history(watch, listeners, mail, hook):
    web = listeners.start("tcp@0.0.0.0@80", "tcp@::@80@v6only", name="nginx", forks=2)
    running = watch(config_text({"settle": "300ms", "settle_closed": "8s"}, notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    before = len(bounces(running, 80))
    listeners.stop(web)
    running.look_at(listeners)
    listeners.start("tcp@0.0.0.0@80", "tcp@::@80@v6only", name="nginx", forks=2)
    silent(mail, hook, 10)
    assert len(bounces(running, 80)) == before + 1, running.history()


def test_a_restart_between_two_ticks_is_no_change(watch, listeners, mail, hook):
    web = listeners.start("tcp@0.0.0.0@80", name="nginx")
    watch(config_text({"interval": "500ms"}, notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    for _ in range(10):
        listeners.stop(web)
        web = listeners.start("tcp@0.0.0.0@80", name="nginx")
        time.sleep(0.3)
    silent(mail, hook, 3)


@pytest.mark.parametrize("away, settle_closed", [
    (5, 10), pytest.param(30, 60, marks=pytest.mark.slow)], ids=["scaled", "as-shipped"])
def test_a_database_that_stops_for_a_package_upgrade_is_one_line_of_history(watch, listeners, mail, hook, place, away,
                                                                            settle_closed):
    database = listeners.start("tcp@0.0.0.0@5432", "tcp@::@5432@v6only", name="postgres", uid=65534)
    running = watch(config_text({"interval": "1s", "settle": "2s", "settle_closed": f"{settle_closed}s"},
                                "[port:5432/tcp]\n\n" + notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    before = len(bounces(running, 5432))
    # dpkg replaces the executable: the file is another one of the same name
    (place / "bin" / "postgres").unlink()
    time.sleep(1)
    listeners.stop(database)
    silent(mail, hook, away)
    listeners.start("tcp@0.0.0.0@5432", "tcp@::@5432@v6only", name="postgres", uid=65534)
    silent(mail, hook, 5)
    assert len(bounces(running, 5432)) == before + 1, running.history()
    assert "its program runs from another file at the same path" in running.history()


def test_a_port_that_comes_and_goes_is_told_once_and_when_it_is_steady(watch, listeners, mail, hook):
    web = listeners.start("tcp@0.0.0.0@80", name="nginx")
    running = watch(config_text({"settle": "300ms", "settle_closed": "30s", "boot_grace": "0s"},
                                "[port:80/tcp]\nflapping = 3 in 1m\n\n" + notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    for turn in range(5):
        listeners.stop(web)
        running.look_at(listeners)
        web = listeners.start("tcp@0.0.0.0@80", name="nginx")
        running.look_at(listeners)
    wait_until(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 15)
    event = posted_events(hook)[-1]
    assert (event["type"], event["data"]["change"]) == ("portwatch.incident.opened", "flapping")
    assert event["data"]["returns"] == 3
    told = strict_mails(mail)[-1]
    assert "80/tcp flapping, back 3 times in " in told["Subject"]
    token = event["data"]["incident"]
    refused = running.cli("accept", token)
    assert refused.returncode == 2 and "comes and goes" in refused.stderr
    wait_until(lambda: len(mail.raw_mails()) == 3 and len(hook.requests) == 3, 60)  # half of the minute without a turn
    event = posted_events(hook)[-1]
    assert (event["type"], event["data"]["change"]) == ("portwatch.incident.resolved", "flapping")
    assert event["data"]["returns"] == 5
    assert "80/tcp steady again" in strict_mails(mail)[-1]["Subject"]


def test_longer_than_settle_closed_is_told(watch, listeners, mail, hook):
    """The other side of the silence above."""
    database = listeners.start("tcp@0.0.0.0@5432", name="postgres")
    watch(config_text({"settle": "1s", "settle_closed": "3s"}, notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    listeners.stop(database)
    silent(mail, hook, 2)
    wait_until(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 10)
    assert kinds(posted_events(hook)) == [("opened", "tcp/5432")]
    assert posted_events(hook)[-1]["data"]["change"] == "closed"


def test_loopback_only_newcomers_are_history(watch, listeners, mail, hook):
    running = watch(config_text({}, notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    x11 = listeners.start("tcp@127.0.0.1@6010", "tcp@::1@6010@v6only", name="sshd-forward")
    silent(mail, hook, 3)
    listeners.stop(x11)
    silent(mail, hook, 4)
    assert bounces(running, 6010)


def test_ephemeral_udp_clients_are_no_changes(watch, listeners, mail, hook):
    watch(config_text({}, notifiers(mail, hook)))
    learned_everywhere(mail, hook)
    for turn in range(5):
        resolver = listeners.start(*["udp@0.0.0.0@0"] * 10, name="resolver")
        time.sleep(0.5 if turn % 2 else 1.5)
        listeners.stop(resolver)
    silent(mail, hook, 2)


def test_a_workers_exchange_under_one_master_is_no_change(watch, mail, hook, listeners):
    """Prefork: the listening socket stays, its holders change."""
    code = ("import socket, os, time, signal\n"
            "s = socket.create_server(('0.0.0.0', 80))\n"
            "print('ready', flush=True)\n"
            "while True:\n"
            "    pids = [os.fork() for _ in range(1)]\n"
            "    if 0 in pids: time.sleep(60); os._exit(0)\n"
            "    time.sleep(0.4)\n"
            "    for pid in pids: os.kill(pid, signal.SIGKILL)\n"
            "    for pid in pids: os.waitpid(pid, 0)\n")
    master = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        master.stdout.readline()
        watch(config_text({}, notifiers(mail, hook)))
        learned_everywhere(mail, hook)
        silent(mail, hook, 5)
    finally:
        os.killpg(master.pid, 9)
        master.wait()
        master.stdout.close()


class ActivatedWatch(Watch):
    """portwatchd as a child of init.py, which is PID 1 of a pid namespace and holds port 22."""

    def __init__(self, programs, directory, config, session):
        super().__init__(programs, directory, config)
        self.fifo = self.directory / "commands"
        os.mkfifo(self.fifo)
        self.wrapper = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, str(INIT),
                        str(self.fifo), "22", str(session)]

    def say(self, word):
        self.fifo.write_text(word)

    def stop(self, timeout=15):
        self.say("stop")
        assert self.process.wait(timeout) == 0, self.log()
        self._ended()


def test_a_socket_that_flips_between_pid_1_and_the_session_is_one_owner(programs, place, netns, mail, hook, listeners):
    session = place / "bin" / "sshd"
    session.parent.mkdir(exist_ok=True)
    session.write_bytes(programs.holder.read_bytes())
    session.chmod(0o755)
    with ActivatedWatch(programs, place / "watch", config_text({}, notifiers(mail, hook)), session) as running:
        learned_everywhere(mail, hook)
        for _ in range(3):
            running.say("session")
            silent(mail, hook, 2.5)
            running.say("end")
            silent(mail, hook, 2.5)
        assert not any("owner" in line for line in bounces(running, 22)), running.history()
