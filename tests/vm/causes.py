"""What became of a unit: portwatch-cause asked about services that crash, stop, hang and lie, and compared with what
`systemctl show` says of them."""

import datetime
import os
import re
import signal
import time

import reasons
import world
from asker import ALIVE, GONE, UNKNOWN, Asker, watched
from guest import Guest, wait
from report import Checks, note

SERVICE = ["setpriv", "--reuid=portwatch", "--regid=portwatch", "--groups=systemd-journal", "--inh-caps=-all"]
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
WORDS = "cannot open /var/lib/exits/db"
UNITS = {
    "exits.service": f"ExecStart=sh -c 'echo {WORDS}; exit 3'",
    "runs.service": "ExecStart=sleep infinity",
    "returns.service": "ExecStart=sh -c 'echo first words; exec sleep infinity'\nRestart=always\nRestartSec=0",
    "again.service": "ExecStart=sh -c 'exit 4'\nRestart=on-failure\nRestartSec=1h",
    "limit.service": "ExecStart=sh -c 'echo giving up; exit 5'\nRestart=always\nRestartSec=100ms",
    "slow.service": "Type=notify\nExecStart=sleep infinity\nTimeoutStartSec=1s",
    "starts.service": "Type=notify\nExecStart=sleep infinity\nTimeoutStartSec=infinity",
    "early.service": "ExecStartPre=sh -c 'exit 6'\nExecStart=sleep infinity",
    "once.service": "Type=oneshot\nExecStart=sh -c 'echo done'",
    "ends.service": "ExecStart=sh -c 'exit 0'",
    "reloads.service": "ExecStart=sleep infinity\nExecReload=sleep infinity",
    "stops@.service": "ExecStart=sleep infinity\nExecStop=sleep infinity\nTimeoutStopSec=infinity",
    "sour.service": "ExecStart=sh -c 'trap \"exit 7\" TERM; echo ready; while :; do sleep 0.1; done'",
    "leaves.service": "ExecStart=sh -c 'sleep infinity & echo $! >/run/left; exit 8'\nKillMode=process",
    "template@.service": "ExecStart=sh -c 'echo I am %i; exit 9'",
    "call.service": "ExecStart=sh -c 'exit 10'",
    "noisy.service": "ExecStart=/usr/local/bin/noisy",
    "missing.service": "ExecStart=/usr/bin/no-such-program",
    "masked.service": None,
}
SOCKET = "[Socket]\nListenStream=0.0.0.0:7000\n"
# an escape, bytes that are no UTF-8, an override of direction, a line without end, another's name
NOISY = r"""#!/bin/sh
printf 'red \033[31m text\n'
printf 'not \377\376 text\n'
printf 'turned \342\200\256 around\n'
head -c 40000 /dev/zero | tr '\0' x; echo
exit 1
"""
FORGED = """MESSAGE=runs.service: Failed with result 'oom-kill'.
MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c
UNIT=runs.service
UNIT_RESULT=oom-kill
PRIORITY=4
SYSLOG_IDENTIFIER=systemd
_PID=1
"""


class Causes:
    alice = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", "XDG_RUNTIME_DIR=/run/user/1000"]

    def __init__(self, guest):
        self.guest = guest
        self.checks = Checks(on_failure=lambda: note(guest.journal("-n", "150")))

    def show(self, unit):
        lines = self.guest.must("systemctl", "show", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def state(self, unit, *wanted, timeout=60):
        """Waits until the unit's sub-state is one of these."""
        wait(lambda: f"{unit} {wanted}: {self.show(unit)}", lambda: self.show(unit)["SubState"] in wanted, timeout)

    def agree(self, unit, cause):
        """What systemctl show says now, in the cause's words."""
        show = self.show(unit)
        told = {key: cause[key] for key in ("unit", "state", "sub", "result", "restarts", "exit", "signal")}
        code, status = int(show.get("ExecMainCode", 0)), int(show.get("ExecMainStatus", 0))
        assert told == {
            "unit": unit, "state": show["ActiveState"], "sub": show["SubState"], "result": show.get("Result"),
            "restarts": int(show["NRestarts"]), "exit": status if code == os.CLD_EXITED else None,
            "signal": signal.Signals(status).name if code in (os.CLD_KILLED, os.CLD_DUMPED) else None,
        }, f"{told}, and systemctl show {show}"

    def cause(self, unit, fate, summary, said=(), **question):
        """Asks as the service would, after the process has gone, until this comes: the summary, a pattern behind the unit's
        name, and these words in the journal. (systemd and journald may be a moment behind.)"""
        question = {"process": GONE, "pid": 4194300, **question}
        last = []

        def told():
            last[:] = self.asker.ask(unit, **question)
            name = unit.replace("\\", "\\\\")
            return last[0] == fate and re.fullmatch(re.escape(name) + " " + summary, last[1]["summary"]) and (
                all(any(words in line for line in last[1]["journal"]) for words in said))

        wait(lambda: f"fate {fate}, {summary}, {said}: {last}", told, 30)
        return last[1]

    # ---- crashes

    def crashes(self):
        guest, checks = self.guest, self.checks
        with checks("an exit status"):
            guest.must("systemctl", "start", "exits")
            self.state("exits", "failed")
            cause = self.cause("exits.service", "failed", r"failed at [\d:]+ UTC: exit status 3", since=time.time() - 60,
                               said=(": " + WORDS, "Failed with result 'exit-code'"))
            self.agree("exits.service", cause)
            assert cause["process"] == "gone" and cause["missing"] is None and not cause["oom"], cause
        for name in ("KILL", "TERM", "USR1"):
            with checks(f"SIG{name}"):
                guest.must("systemctl", "start", "runs")
                guest.must("systemctl", "kill", "--signal", name, "runs")
                self.state("runs", "failed", "dead")
                if name == "TERM":  # an end in good order, by systemd's rules
                    cause = self.cause("runs.service", "stopped", r"ended by itself at [\d:]+ UTC")
                else:
                    cause = self.cause("runs.service", "failed", rf"failed at [\d:]+ UTC: killed by SIG{name}")
                self.agree("runs.service", cause)
        with checks("a signal that dumps core"):
            guest.must("systemctl", "start", "runs")
            guest.must("systemctl", "kill", "--signal", "ABRT", "runs")
            self.state("runs", "failed")
            cause = self.cause("runs.service", "failed", r"failed at [\d:]+ UTC: killed by SIGABRT(, core dumped)?")
            self.agree("runs.service", cause)
        with checks("a program that is not there"):
            guest.must("systemctl", "start", "missing")
            self.state("missing", "failed")
            cause = self.cause("missing.service", "failed", ".*: exit status 203, its program cannot be executed")
            self.agree("missing.service", cause)
        with checks("what runs before the program fails"):
            guest.run("systemctl", "start", "early")
            self.state("early", "failed")
            cause = self.cause("early.service", "failed", ".*: result exit-code", said=("status=6",))
            assert cause["exit"] is None and cause["result"] == "exit-code", cause
        with checks("a start that takes too long"):
            guest.run("systemctl", "start", "slow")
            self.state("slow", "failed")
            cause = self.cause("slow.service", "failed", ".*: it did not start or stop in time")
            assert cause["result"] == "timeout", cause
        with checks("a process that outlives its unit"):
            guest.must("systemctl", "start", "leaves")
            self.state("leaves", "failed")
            left = int(guest.must("cat", "/run/left"))
            with watched(guest, left) as pidfd:
                cause = self.cause("leaves.service", "failed", rf".*: exit status 8; its process {left} lives on", pid=left,
                                   process=ALIVE, pidfd=pidfd)
            assert cause["process"] == "alive", cause
            self.agree("leaves.service", cause)

    def restarts(self):
        guest, checks = self.guest, self.checks
        with checks("a restart has overwritten the result: the journal has it"):
            guest.must("systemctl", "start", "returns")
            before = self.show("returns")
            since = time.time()
            guest.must("systemctl", "kill", "--signal", "KILL", "returns")
            wait("the restart", lambda: self.show("returns")["NRestarts"] == "1" and
                 self.show("returns")["SubState"] == "running")
            for invocation in ("", before["InvocationID"]):
                cause = self.cause("returns.service", "unknown",
                                   r"failed at [\d:]+ UTC: killed by SIGKILL; it is running again", said=("first words",),
                                   since=since, invocation=invocation, pid=int(before["MainPID"]))
                assert (cause["state"], cause["result"], cause["signal"], cause["restarts"]) == \
                    ("active", "signal", "SIGKILL", 1), cause
                said = [line for line in cause["journal"] if line.endswith("first words")]
                assert len(said) == 1 and f"[{before['MainPID']}]" in said[0], cause["journal"]
                assert abs(iso(cause["since"]) - since) < 30, cause
        with checks("an end before the port was last seen is not the cause"):
            cause = self.cause("returns.service", "unknown", r"is running since [\d:]+ UTC; its process \d+ has ended",
                               since=time.time() + 10)
            assert cause["result"] is None and cause["signal"] is None, cause
        with checks("a crash that waits for its restart"):
            guest.must("systemctl", "start", "again")
            self.state("again", "auto-restart")
            cause = self.cause("again.service", "returning",
                               r"failed at [\d:]+ UTC: exit status 4; systemd is about to start it again")
            self.agree("again.service", cause)
        with checks("a crash whose restart is called off"):
            guest.must("systemctl", "stop", "again")
            # systemd forgets it then, the journal does not
            cause = self.cause("again.service", "failed", r"failed at [\d:]+ UTC: exit status 4")
            assert (cause["state"], cause["exit"]) == ("inactive", 4), cause
        with checks("the restart limit"):
            guest.must("systemctl", "start", "limit")
            self.state("limit", "failed")
            wait("the limit", lambda: self.show("limit")["NRestarts"] == "5")
            self.state("limit", "failed")
            cause = self.cause("limit.service", "failed",
                               r"failed at [\d:]+ UTC: exit status 5; restart limit reached after 5 restarts",
                               said=("giving up", "Start request repeated too quickly"))
            self.agree("limit.service", cause)
        with checks("the restart limit, without the journal"):
            with Asker(guest, *NOBODY) as blind:
                fate, cause = blind.ask("limit.service")
            assert fate == "failed" and cause["summary"].endswith("restart limit reached after 5 restarts"), cause
            assert cause["missing"] == "the journal may not be read (group systemd-journal)", cause
            assert cause["journal"] == [], cause

    # ---- ends in good order

    def stops(self):
        guest, checks = self.guest, self.checks
        with checks("stopped by hand"):
            guest.must("systemctl", "start", "runs")
            guest.must("systemctl", "stop", "runs")
            cause = self.cause("runs.service", "stopped", r"was stopped at [\d:]+ UTC on request", since=time.time() - 5)
            assert (cause["state"], cause["sub"], cause["result"]) == ("inactive", "dead", "success"), cause
        with checks("restarted by hand"):
            guest.must("systemctl", "start", "runs")
            since = time.time()
            guest.must("systemctl", "restart", "runs")
            self.cause("runs.service", "unknown", r"was restarted at [\d:]+ UTC on request; it is running again",
                       since=since)
        with checks("stopped by hand, and fails at it"):
            guest.must("systemctl", "start", "sour")
            wait("its trap", lambda: "ready" in guest.journal("-u", "sour"))
            guest.must("systemctl", "stop", "sour")
            self.cause("sour.service", "failed", r"failed while it was being stopped at [\d:]+ UTC: exit status 7")
        with checks("ended by itself"):
            guest.must("systemctl", "start", "ends")
            self.state("ends", "dead")
            self.cause("ends.service", "stopped", r"ended by itself at [\d:]+ UTC( with exit status 0)?",
                       since=time.time() - 30)
        with checks("a oneshot has done its work"):
            guest.must("systemctl", "start", "once")
            self.cause("once.service", "stopped", r"ended by itself at [\d:]+ UTC( with exit status 0)?", said=(": done",),
                       since=time.time() - 30)
        with checks("starting, reloading, stopping"):
            guest.must("systemctl", "start", "--no-block", "starts")
            self.state("starts", "start")
            self.cause("starts.service", "returning", r"is starting since [\d:]+ UTC; .*")
            guest.must("systemctl", "start", "reloads")
            guest.must("systemctl", "reload", "--no-block", "reloads")
            self.state("reloads", "reload")
            self.cause("reloads.service", "returning", r"is reloading \(reload\) since [\d:]+ UTC; .*")
        for command, fate in (("stop", "stopped"), ("restart", "returning")):
            with checks(f"a {command} that takes its time"):
                unit = f"stops@{command}.service"
                guest.must("systemctl", "start", unit)
                guest.must("systemctl", command, "--no-block", unit)
                self.state(unit, "stop")
                self.cause(unit, fate, rf"is {command.replace('stop', 'stopp')}ing since [\d:]+ UTC")
        with checks("masked, unknown, not started"):
            guest.must("systemctl", "mask", "masked.service")
            self.cause("masked.service", "stopped", r"is masked and not running; .*")
            self.cause("no-such.service", "unknown", r"is not known to systemd any more; .*")
            self.cause("call.service", "stopped", r"is not running; .*")

    # ---- kinds of units

    def kinds(self):
        guest, checks = self.guest, self.checks
        with checks("an instance of a template, of an awkward name"):
            unit = r"template@a-b\x2dc.service"
            guest.must("systemctl", "start", unit)
            self.state(unit, "failed")
            cause = self.cause(unit, "failed", r"failed at [\d:]+ UTC: exit status 9", said=("I am a-b",))
            assert cause["unit"] == unit.replace("\\", "\\\\"), cause
        with checks("a socket unit and the service behind it"):
            guest.must("systemctl", "start", "call.socket")
            self.cause("call.socket", "unknown", r"is active \(listening\) since [\d:]+ UTC", process=UNKNOWN)
            guest.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7000")
            # it fails at once, is triggered anew, and that is too often
            self.state("call.socket", "failed")
            show = self.show("call.socket")
            told, cause = self.asker.ask("call.socket")
            assert told == "failed" and cause["result"] == show["Result"] and cause["restarts"] is None, (cause, show)
            told, cause = self.asker.ask("call.service")
            assert told == "failed" and cause["exit"] == 10, cause
        with checks("a scope, and one that is gone"):
            guest.must("systemd-run", "--scope", "--unit=passing", "--", "true")
            self.state("passing.scope", "dead")
            self.cause("passing.scope", "stopped", r"ended by itself at [\d:]+ UTC")
        with checks("a transient service that failed and was collected"):
            guest.run("systemd-run", "--collect", "--unit=brief", "--wait", "--", "sh", "-c", "echo last words; exit 11")
            self.cause("brief.service", "failed", r"failed at [\d:]+ UTC: exit status 11", said=("last words",),
                       since=time.time() - 30)

    def user_unit(self):
        """Its systemd is not asked; the journal is."""
        guest, checks = self.guest, self.checks
        with checks("a user's own systemd"):
            guest.must("systemctl", "start", "user@1000.service")
        with checks("a user's own unit: its end from the journal, no state"):
            alice = self.alice
            guest.must("systemctl", "start", "exits")  # one of the same name, of the system
            guest.must(*alice, "systemctl", "--user", "start", "exits.service")
            wait("its end", lambda: "failed" in guest.must(*alice, "systemctl", "--user", "show", "-p", "SubState",
                                                          "exits.service"))
            cause = self.cause("exits.service", "unknown",
                               r"\(of user 1000's own systemd\) failed at [\d:]+ UTC: exit status 12",
                               said=("words of alice",), user=1000, since=time.time() - 60)
            assert cause["state"] is None and "user's own systemd" in cause["missing"], cause
            assert not any(WORDS in line for line in cause["journal"]), cause["journal"]

    # ---- hostile

    def hostile(self):
        guest, checks = self.guest, self.checks
        with checks("what a service logs cannot act on whoever reads it"):
            guest.must("systemctl", "start", "noisy")
            self.state("noisy", "failed")
            cause = self.cause("noisy.service", "failed", ".*: exit status 1", said=("xxx...",))
            text = "\n".join(cause["journal"])
            for wanted in (r"red \x1b[31m text", r"not \xff\xfe text", r"turned \u{202E} around", "xxx..."):
                assert wanted in text, text
            assert all(len(line.encode()) <= 400 for line in cause["journal"]), text
            assert re.fullmatch(r"[ -~\n]*", text), text
        with checks("what another service logs in systemd's name is no cause"):
            guest.must("systemctl", "start", "runs")
            guest.write("/root/forged", FORGED)
            guest.must("sh", "-c", "logger --journald </root/forged")
            guest.must("journalctl", "--sync")
            wait("the forged entry", lambda: "Failed with result 'oom-kill'" in guest.journal("UNIT=runs.service"))
            cause = self.cause("runs.service", "unknown", r"is running since [\d:]+ UTC; .*", since=time.time() + 10)
            assert not cause["oom"] and not any("oom-kill" in line for line in cause["journal"]), cause
        with checks("a socket closed by a living process"):
            pid = int(self.show("runs")["MainPID"])
            with watched(guest, pid) as pidfd:
                cause = self.cause("runs.service", "unknown",
                                   rf"is running since [\d:]+ UTC; its process {pid} is alive and has closed the socket",
                                   since=time.time() + 10, pid=pid, process=ALIVE, pidfd=pidfd)
            assert cause["process"] == "alive", cause
        with checks("asked the moment the process ends, it waits for systemd to notice"):
            for _ in range(10):
                guest.must("systemctl", "start", "runs")
                pid = int(self.show("runs")["MainPID"])
                with watched(guest, pid) as pidfd:
                    since = time.time()
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    told, cause = self.asker.ask("runs.service", since=since, pid=pid, process=ALIVE, pidfd=pidfd)
                assert told == "failed" and cause["signal"] == "SIGKILL" and cause["process"] == "gone", cause
                guest.must("systemctl", "reset-failed", "runs")
        with checks("what is no question ends it"):
            assert Asker(guest, *SERVICE).provoke(b"nonsense") == 1

    def walls(self):
        guest, checks = self.guest, self.checks
        with checks("it has no capability, no way to get one, and a filter"):
            pid = next(pid for pid in guest.must("pidof", "portwatch-cause").split())
            status = guest.must("cat", f"/proc/{pid}/status")
            for line in ("CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000",
                         "NoNewPrivs:\t1", "Seccomp:\t2"):
                assert line in status, status
        with checks("started by root it is root no more, and reads the journal"):
            guest.must("systemctl", "start", "exits")
            self.state("exits", "failed")
            with Asker(guest) as asker:
                told, cause = asker.ask("exits.service")
                assert told == "failed" and cause["missing"] is None and cause["journal"], cause
                pids = guest.must("pidof", "portwatch-cause").split()
                uids = {re.search(r"^Uid:\t(\d+)\t", guest.must("cat", f"/proc/{pid}/status"), re.M)[1] for pid in pids}
                assert "0" not in uids, uids

    def deaf(self):
        guest, checks = self.guest, self.checks
        with checks("a bus that does not answer"):
            guest.must("sh", "-c", "kill -STOP $(pidof dbus-daemon)")
            try:
                began = time.monotonic()
                told, cause = self.asker.ask("exits.service", since=time.time() - 600)
                took = time.monotonic() - began
            finally:
                guest.must("sh", "-c", "kill -CONT $(pidof dbus-daemon)")
            assert cause["missing"] == "systemd cannot be asked about the unit: no answer in time", cause
            assert told == "unknown" and cause["state"] is None and cause["exit"] == 3, cause
            note(f"without an answer from the bus: {took:.2f} s")
        with checks("no bus: the journal still says how it ended"):
            guest.must("systemctl", "stop", "dbus.socket", "dbus.service")
            told, cause = self.asker.ask("exits.service", since=time.time() - 600)
            assert cause["missing"].startswith("the system bus cannot be reached: "), cause
            assert told == "unknown" and cause["exit"] == 3 and "failed at" in cause["summary"], cause


def iso(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def run(tree, packages, props, higher):
    package = []

    def prepare(root):
        world.put_name(root)
        units = root / "etc/systemd/system"
        for name, text in UNITS.items():
            if text:
                (units / name).write_text(f"[Service]\n{text}\n")
        (units / "call.socket").write_text(SOCKET)
        # without pam_systemd, which would say where the user's run-time directory is
        (units / "user@.service.d").mkdir()
        (units / "user@.service.d/plain.conf").write_text("[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n")
        (root / "etc/systemd/user").mkdir(exist_ok=True)
        (root / "etc/systemd/user/exits.service").write_text(
            "[Service]\nExecStart=sh -c 'echo words of alice; sleep 1; exit 12'\n")
        noisy = root / "usr/local/bin/noisy"
        noisy.write_text(NOISY)
        noisy.chmod(0o755)
        reasons.put(root, props)
        package.append(world.put_package(root, packages))

    with Guest("causes", tree, prepare) as guest:
        causes = Causes(guest)
        with causes.checks("apt installs the package"):
            guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package[0])
        with causes.checks("a person of the guest"):
            guest.must("useradd", "--create-home", "--uid", "1000", "alice")
        with Asker(guest, *SERVICE) as causes.asker:
            causes.crashes()
            causes.restarts()
            causes.stops()
            causes.kinds()
            causes.user_unit()
            causes.hostile()
            causes.walls()
            reasons.Reasons(causes).tell()
            causes.deaf()
