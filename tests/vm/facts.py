"""What must be so of an installed portwatch, each a function that raises AssertionError where it is not. The story wants
them to hold; doors.py wants each closed door to break one."""

import itertools
import json
import re

import world
from guest import wait
from mail import Mailbox


class Portwatch:
    """The installed program in a guest, as root uses it."""

    def __init__(self, guest):
        self.guest, self.box = guest, Mailbox(guest)

    def status(self):
        return json.loads(self.guest.run("portwatch", "status", "--json").stdout)

    def history(self, port=None):
        """Rows, oldest first; port: of this one only."""
        output = self.guest.must("portwatch", "history", *([str(port)] if port else []), "--json")
        return [json.loads(line) for line in output.splitlines()]

    def kinds(self, port):
        """["learned", "bounced", ...] with the counts of bounces: [..., "bounced", "bounced"]."""
        return [row["kind"] for row in self.history(port) for _ in range(row["count"])]

    def edit(self, section, **keys):
        """Edits /etc/portwatch.conf in place: owner and mode stay."""
        path = self.guest.path(world.CONFIG)
        path.write_text(world.uncomment(path.read_text(), section, keys))

    def append(self, text):
        with open(self.guest.path(world.CONFIG), "a") as file:
            file.write(text)

    def reload(self):
        self.guest.must("systemctl", "reload", "portwatch")

    def mail(self, pattern, timeout=90, seen=0):
        """Waits for the mail number `seen` + 1 with this in its subject."""
        def arrived():
            found = self.box.find(pattern)
            return found[seen] if len(found) > seen else None
        return wait(lambda: f"a mail {pattern!r}; there are {self.box.subjects()}; {self.guest.run('portwatch', 'status').stdout}",
                    arrived, timeout)

    def event(self, port, kind, count=1, timeout=60):
        """Waits until the history of the port has `count` rows of this kind; the last of them."""
        def there():
            rows = [row for row in self.history(port) if row["kind"] == kind]
            return rows[-1] if sum(row["count"] for row in rows) >= count else None
        return wait(lambda: f"{count} times {kind} of {port}: {self.kinds(port)}", there, timeout)


def main_pid(pw):
    return int(pw.guest.property("portwatch", "MainPID"))


def service_runs(pw):
    """Type=notify: active means that it said it is ready."""
    state = pw.guest.run("systemctl", "is-active", "portwatch").stdout.strip()
    assert state == "active", f"the service is {state}: {pw.guest.journal('-u', 'portwatch', '-n', '5')}"
    assert pw.guest.property("portwatch", "StatusText"), "no sentence in systemctl status"


def everything_seen(pw):
    """All of the host's, each with its owner; and it is known that there is no other network namespace."""
    status = pw.status()
    assert status["running"] and status["coverage"]["complete"], f"not seen: {status['coverage']}"
    coverage = {key: status["coverage"][key] for key in ("seen", "not_seen", "namespaces_unseen", "without_owner")}
    assert coverage == {"seen": "all host sockets", "not_seen": [], "namespaces_unseen": 0, "without_owner": 0}, coverage


def owner(row):
    found = row["after"][0].get("owner") or {}
    return found.get("unit"), found.get("exe"), found.get("user")


_ports = itertools.count(9100)  # each time one that has no history


def service_told(pw):
    """A service that starts is told with all there is to know of it."""
    port = next(_ports)
    unit = f"spare@{port}.service"
    pw.guest.must("systemctl", "start", unit)
    try:
        seen = owner(pw.event(port, "opened"))
        assert seen == (unit, "/usr/sbin/spared", "shop"), f"the owner of {port} is told as {seen}"
    finally:
        pw.guest.must("systemctl", "stop", unit)


def cause_told(pw):
    """Why a service's port closed, with nothing missing: systemd and the journal were read."""
    port = next(_ports)
    unit = f"spare@{port}.service"

    def closed():
        return next((event["data"]["cause"] for _, event in posts(pw)
                     if event.get("subject") == f"tcp/{port}" and event["data"].get("change") == "closed"), None)

    pw.guest.must("systemctl", "start", unit)
    pw.event(port, "opened")
    pw.guest.must("portwatch", "accept", str(port))
    pw.guest.must("systemctl", "kill", "--signal=KILL", unit)
    cause = wait(lambda: f"an alert of {port}: {pw.history(port)}", closed, 60)
    assert cause and cause["missing"] is None, f"the cause is {cause}"
    assert (cause["unit"], cause["result"], cause["signal"]) == (unit, "signal", "SIGKILL"), cause


def socket_unit_told(pw):
    """A socket that PID 1 holds is told with the name of its socket unit."""
    port = next(_ports)
    pw.guest.must("systemd-run", f"--unit=call-{port}", f"--socket-property=ListenStream=0.0.0.0:{port}", "/usr/sbin/calld")
    try:
        seen = owner(pw.event(port, "opened"))
        assert seen == (f"call-{port}.socket", "/usr/lib/systemd/systemd", "root"), f"the owner of {port} is told as {seen}"
    finally:
        pw.guest.must("systemctl", "stop", f"call-{port}.socket")


def ephemeral_known(pw):
    """A port of the kernel's choosing, by this machine's range, is one of many and not a port of its own."""
    known = max((row["id"] for row in pw.history()), default=0)
    pw.guest.must("systemctl", "start", "any")
    try:
        def told():
            subjects = [row["subject"] for row in pw.history() if row["id"] > known]
            assert f"tcp/{world.EPHEMERAL}" not in subjects, "told as a port of its own"
            return "tcp/ephemeral" in subjects
        wait("a row of history about the ephemeral ports", told, 60)
    finally:
        pw.guest.must("systemctl", "stop", "any")


def mail_delivered(pw, notifier="admin"):
    """A test message goes through the real channel, is answered, and arrives."""
    before = len(pw.box.find("test message"))
    test(pw, notifier)
    wait("the test message in the mailbox", lambda: len(pw.box.find("test message")) > before, 30)


def webhook_delivered(pw):
    def arrived():
        return [head for head, event in posts(pw) if event["type"] == "portwatch.test"]

    before = len(arrived())
    test(pw, "chat")
    wait("the post", lambda: len(arrived()) > before, 30)
    head = arrived()[-1]
    assert head.startswith("POST /hook HTTP/1.1\r\n") and "\r\nContent-Type: application/cloudevents" in head, head


def posts(pw):
    """(head, event) of each that has come, several events in one singly."""
    for path in sorted(pw.guest.path(world.HOOKS).glob("[0-9]*")):
        head, _, body = path.read_bytes().decode().partition("\r\n\r\n")
        document = json.loads(body)
        for event in document if isinstance(document, list) else [document]:
            yield head, event


def test(pw, notifier):
    result = pw.guest.run("portwatch", "test", notifier)
    assert result.returncode == 0, f"portwatch test {notifier}: {result.stdout}{result.stderr}"


def walls_stand(pw):
    """portwatch-notify has all of its sandbox."""
    missing = pw.status()["coverage"]["walls_missing"]
    assert not missing, f"walls missing around the notifiers: {missing}"


def reload_taken(pw):
    before = len(reloads(pw))
    pw.reload()
    wait(lambda: "a reload in the journal", lambda: len(reloads(pw)) > before, 20)


def reloads(pw):
    return re.findall("configuration reloaded", pw.guest.journal("-u", "portwatch"))


def journal_speaks(pw):
    """Its own words, under its own name, with structured fields."""
    invocation = pw.guest.property("portwatch", "InvocationID")
    lines = pw.guest.must("journalctl", "--no-pager", "-o", "json", f"_SYSTEMD_INVOCATION_ID={invocation}")
    entries = [json.loads(line) for line in lines.splitlines()]
    own = [e for e in entries if e.get("SYSLOG_IDENTIFIER") == "portwatchd"]
    assert any("watching every port" in e["MESSAGE"] for e in own), f"the journal has {[e.get('MESSAGE') for e in entries]}"
