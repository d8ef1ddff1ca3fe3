"""What must be so of an installed portwatch, each a function that raises AssertionError where it is not. The story wants
them to hold; doors.py wants each closed door to break one."""

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
    status = pw.status()
    assert status["running"] and status["coverage"]["complete"], f"not seen: {status['coverage']}"
    assert status["coverage"]["not_seen"] == ["other network namespaces"], status["coverage"]["not_seen"]


def owner_told(pw, port, unit, exe, user, kind="opened"):
    """As the daemon, not as root, saw it."""
    row = pw.event(port, kind)
    owner = row["after"][0].get("owner") or {}
    seen = owner.get("unit"), owner.get("exe"), owner.get("user")
    assert seen == (unit, exe, user), f"the owner of {port} is told as {seen}"


def delivered(pw, notifier):
    """A test message goes through the real channel and is answered."""
    result = pw.guest.run("portwatch", "test", notifier)
    assert result.returncode == 0, f"portwatch test {notifier}: {result.stdout}{result.stderr}"


def walls_stand(pw):
    """portwatch-notify has all of its sandbox."""
    missing = pw.status()["coverage"]["walls_missing"]
    assert not missing, f"walls missing around the notifiers: {missing}"
    text = pw.guest.must("portwatch", "status")
    assert "walls" not in text, text


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
