"""The whole way: a service with a port ends, and the alert says why, as `systemctl show` does."""

import json
import pathlib
import shutil

import world
from facts import Portwatch
from guest import wait

WORDS = "cannot open /var/lib/app/db"
SERVICES = {
    "exits": "ExecStart=appd -e 3 0.0.0.0 7101",
    "killed": "ExecStart=appd 0.0.0.0 7102",
    "stopped": "ExecStart=appd 0.0.0.0 7103",
    "limit": "ExecStart=sh -c '[ ! -e /run/broken ] || exit 4; exec appd -e 4 0.0.0.0 7104'\n"
             "Restart=always\nRestartSec=200ms",
    "many@": "ExecStart=appd -e 5 0.0.0.0 %i",
    # held the port, then fails otherwise at each start
    "changes": "ExecStart=sh -c '[ ! -e /run/changed ] || { echo other words; exit 11; }; touch /run/changed; "
               "exec appd -e 10 0.0.0.0 7110'\nRestart=always\nRestartSec=0",
    "prefork": "ExecStart=appd -f 3 -e 8 0.0.0.0 7108",
    "upgraded": "ExecStart=newd -e 9 0.0.0.0 7109",
}
UNITS = {f"port-{name}.service": f"[Service]\n{text}\n" for name, text in SERVICES.items()}
UNITS["port-call.socket"] = "[Socket]\nListenStream=0.0.0.0:7107\n"
UNITS["port-call.service"] = "[Service]\nExecStart=appd\n"
UNITS["hooks.service"] = f"[Service]\nExecStart=hookd -d {world.HOOKS} 127.0.0.1 8099\n"
# of the same name as one of the system
USER_UNIT = "[Service]\nExecStart=appd -e 6 0.0.0.0 7105\n"
STARTED = ["hooks", "port-exits", "port-killed", "port-stopped", "port-limit", "port-many@7106", "port-call.socket",
           "port-prefork", "port-upgraded", "port-changes"]
CONFIG = """[portwatch]
interval = 250ms
settle = 1s
settle_closed = 3s
boot_grace = 0s

[notifier:chat]
plugin = webhook
url = http://127.0.0.1:8099/
group_wait = 1s
detail = full
"""


def put(root, props):
    for name in ("appd", "hookd", "newd"):
        shutil.copy(props / "shopd", root / "usr/sbin" / name)
    for name, text in UNITS.items():
        (root / "etc/systemd/system" / name).write_text(text)
    (root / "etc/systemd/user").mkdir(exist_ok=True)
    (root / "etc/systemd/user/port-stopped.service").write_text(USER_UNIT)
    pathlib.Path(f"{root}{world.HOOKS}").mkdir()


class Reasons:
    """causes: its guest, its checks, and its alice."""

    def __init__(self, causes):
        self.causes, self.guest, self.checks = causes, causes.guest, causes.checks
        self.pw = Portwatch(self.guest)

    def events(self):
        """What the notifier has posted."""
        for path in sorted(self.guest.path(world.HOOKS).glob("[0-9]*")):
            body = json.loads(path.read_bytes().split(b"\r\n\r\n", 1)[1])
            yield from body if isinstance(body, list) else [body]

    def closed(self, port):
        """The alert of that port's end: its cause."""
        def told():
            return next((event for event in self.events()
                         if event["subject"] == f"tcp/{port}" and event["type"] == "portwatch.incident.opened"), None)
        return wait(lambda: f"an alert of {port}: {list(self.events())}\n{self.pw.history(port)}", told)["data"]["cause"]

    def start(self):
        guest = self.guest
        with self.checks("services with ports, and a notifier"):
            guest.must("systemctl", "start", *STARTED)
            guest.must(*self.causes.alice, "systemctl", "--user", "start", "port-stopped.service")
            guest.write(world.CONFIG, CONFIG, 0o640)
            guest.must("chown", "root:portwatch", world.CONFIG)
            guest.must("systemctl", "restart", "portwatch")
            wait("the baseline", lambda: all(self.pw.kinds(port) == ["learned"] for port in (7101, 7105, 7107, 7108, 7109, 7110)))

    def compare(self, port, unit, summary):
        """The alert's cause is what systemd says; its end is in its words."""
        cause = self.closed(port)
        self.causes.agree(unit, cause)
        self.say(cause, unit, summary)
        return cause

    def say(self, cause, unit, summary):
        assert cause["missing"] is None, cause
        assert cause["summary"].startswith(f"{unit} ") and summary in cause["summary"], cause
        assert cause["process"] == "gone", cause

    def upgrade(self):
        """As dpkg does it: another file in its place, and the service is restarted."""
        guest = self.guest
        with self.checks("an upgraded program that is restarted is a line of history"):
            guest.must("sh", "-c", "cp /usr/sbin/newd /usr/sbin/newd.dpkg-new && mv /usr/sbin/newd.dpkg-new /usr/sbin/newd")
            guest.must("systemctl", "restart", "port-upgraded")
            wait(lambda: f"its line: {self.pw.history(7109)}",
                 lambda: "runs from another file at the same path" in guest.must("portwatch", "history", "7109"))

    def overwritten(self, held):
        cause, show = self.closed(7110), self.causes.show("port-changes.service")
        self.say(cause, "port-changes.service", ": exit status 10; started again, it failed at ")
        assert ": exit status 11; restart limit reached after " in cause["summary"], cause
        assert (show["ExecMainStatus"], show["InvocationID"] != held) == ("11", True), show
        said = [json.loads(line) for line in self.guest.journal("-o", "json", f"INVOCATION_ID={held}").splitlines()]
        ends = [(entry["EXIT_CODE"], int(entry["EXIT_STATUS"])) for entry in said if "EXIT_STATUS" in entry]
        results = [entry["UNIT_RESULT"] for entry in said if "UNIT_RESULT" in entry]
        assert (ends, results) == ([("exited", cause["exit"])], [cause["result"]]), (cause, said)
        assert any(line.endswith(WORDS) for line in cause["journal"]), cause
        assert any(line.endswith("other words") for line in cause["journal"]), cause

    def tell(self):
        self.start()
        self.upgrade()
        guest, checks = self.guest, self.checks
        guest.must("systemctl", "kill", "--kill-who=main", "--signal=USR1", "port-prefork", "port-upgraded")
        guest.must("systemctl", "kill", "--signal=USR1", "port-exits", "port-many@7106")
        guest.must("systemctl", "kill", "--signal=SEGV", "port-killed")
        guest.must("systemctl", "stop", "port-stopped", "port-call.socket")
        guest.must(*self.causes.alice, "systemctl", "--user", "kill", "--signal=USR1", "port-stopped.service")
        guest.must("touch", "/run/broken")
        held = self.causes.show("port-changes.service")["InvocationID"]
        guest.must("systemctl", "kill", "--kill-who=main", "--signal=USR1", "port-changes")
        guest.must("systemctl", "kill", "--signal=USR1", "port-limit")
        with checks("the alert says: an exit status, and the last words"):
            cause = self.compare(7101, "port-exits.service", ": exit status 3")
            assert any(line.endswith(WORDS) for line in cause["journal"]), cause
        with checks("the alert says: a signal"):
            self.compare(7102, "port-killed.service", ": killed by SIGSEGV")
        with checks("the alert says: stopped by hand"):
            cause = self.closed(7103)
            self.say(cause, "port-stopped.service", "was stopped at ")
            assert (cause["state"], cause["result"]) == ("inactive", "success"), cause
        with checks("the alert says: the restart limit"):
            self.closed(7104)
            restarts = self.causes.show("port-limit.service")["NRestarts"]  # more where starting takes its time
            cause = self.compare(7104, "port-limit.service", f"; restart limit reached after {restarts} restarts")
            assert cause["exit"] == 4, cause
        with checks("the alert says: the run of the unit that held the port, which others have overwritten"):
            self.overwritten(held)
        with checks("the alert says: an instance of a template"):
            self.compare(7106, "port-many@7106.service", ": exit status 5")
        with checks("the alert says: a server with children that serve as well"):
            cause = self.compare(7108, "port-prefork.service", ": exit status 8")
            assert cause["exit"] == 8, cause
        with checks("the alert says: a program that was upgraded, and nothing of its upgrade"):
            self.compare(7109, "port-upgraded.service", ": exit status 9")
            told = [event for event in self.events() if event["subject"] == "tcp/7109"]
            assert len(told) == 1, told
        with checks("the alert says: a socket unit, stopped by hand"):
            cause = self.closed(7107)
            assert cause["summary"].startswith("port-call.socket was stopped at "), cause
        with checks("the alert says: a user's own unit, by the journal alone, though the system has one of that name"):
            cause = self.closed(7105)
            assert cause["state"] is None and "user's own systemd" in cause["missing"], cause
            assert (cause["unit"], cause["exit"], cause["result"]) == ("port-stopped.service", 6, "exit-code"), cause
            assert any(line.endswith(WORDS) for line in cause["journal"]), cause
