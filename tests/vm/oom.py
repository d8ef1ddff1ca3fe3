"""Debian's own kernel, and its memory controller: a service is killed because its memory is short, and the mail says so."""

import json
import re
import shutil

import world
from causes import Causes
from facts import everything_seen, walls_stand
from guest import wait
from machine import Machine, RemotePortwatch
from report import Checks, note

WORDS = "cannot open /var/lib/app/db"
LIMITED = "User=shop\nMemoryMax=16M\nMemorySwapMax=0\n"
UNITS = {
    "port-eats.service": f"ExecStart=eatd -m 0.0.0.0 7201\n{LIMITED}",
    # away for longer than settle_closed
    "port-again.service": f"ExecStart=eatd -m 0.0.0.0 7202\nRestart=always\nRestartSec=15s\n{LIMITED}",
    "port-exits.service": "ExecStart=appd -e 3 0.0.0.0 7203\nUser=shop\n",
}
TIMES = {"interval": "1s", "settle": "3s", "settle_closed": "6s", "boot_grace": "0s"}
MAIL_WAIT = 200


class Story:
    def __init__(self, machine):
        self.machine, self.pw = machine, RemotePortwatch(machine)
        self.checks = Checks(on_failure=lambda: note(machine.journal("-n", "150") + machine.console()))
        self.causes = Causes(machine)
        self.expected = []

    def mail(self, pattern):
        found = self.pw.mail(pattern, timeout=MAIL_WAIT)
        self.expected.append(pattern)
        return found

    def explain(self, port):
        """(exit status, what it says of TCP)"""
        result = self.machine.run("portwatch", "explain", str(port), "--json")
        case, = [case for case in json.loads(result.stdout)["protocols"] if case["protocol"] == "tcp"]
        return result.returncode, case

    def watch(self):
        machine, pw, checks = self.machine, self.pw, self.checks
        with checks("the kernel is Debian's, with a memory controller"):
            assert "Debian 6.1." in machine.must("uname", "-v"), machine.must("uname", "-a")
            assert "memory" in machine.must("cat", "/sys/fs/cgroup/cgroup.controllers").split()
        with checks("the learned message lists what listens"):
            machine.must("systemctl", "start", *UNITS)
            ports = ["127.0.0.1:587", *(f"0.0.0.0:{port}" for port in (7201, 7202, 7203))]
            wait("all of them", lambda: all(port in machine.must("portwatch", "list") for port in ports))
            machine.must("systemctl", "start", "portwatch")
            mail = self.mail(r"watching 4 ports on gate\.example\.net$")
            for row in (r"  tcp +0\.0\.0\.0:7201 +eatd \(user shop\)", r"  tcp +0\.0\.0\.0:7202 +eatd \(user shop\)",
                        r"  tcp +0\.0\.0\.0:7203 +appd \(user shop\)",
                        r"  tcp +127\.0\.0\.1:587 +exim4 \(user Debian-exim\)"):
                assert re.search(rf"^{row}$", mail.text, re.M), f"no row {row} in\n{mail.text}"
        with checks("all sockets are seen, and no wall is missing"):
            wait("a count of namespaces", lambda: not pw.status()["coverage"]["namespaces_unseen"])
            everything_seen(pw)
            walls_stand(pw)
        with checks("a new listener is told with unit, executable and user"):
            machine.must("systemctl", "start", "spare@7204")
            mail = self.mail(r"WARNING 7204/tcp opened on all IPv4 addresses: spared \(user shop\)$")
            owner = re.search(r"^Owner  (.*)$", mail.text, re.M)[1]
            pid = machine.property("spare@7204", "MainPID")
            assert owner == f"spare@7204.service, /usr/sbin/spared, user shop, pid {pid}", owner

    def end(self, unit, port, summary, words):
        """The service ends; the mail, `portwatch explain` and `systemctl show` agree on how. Its cause."""
        machine = self.machine
        machine.must("systemctl", "kill", "--signal=USR1", unit)
        mail = self.mail(rf"WARNING {port}/tcp closed \(was on all IPv4 addresses\): \w+ \(user shop\)$")
        cause = re.search(rf"^Cause  {unit} failed at [\d:]+ UTC: (.*)$", mail.text, re.M)
        assert cause and cause[1] == summary, mail.text
        assert re.search(rf"^       \| .*{words}$", mail.text, re.M), mail.text
        assert f"\n  start  sudo systemctl restart {unit}\n" in mail.text, mail.text
        status, document = self.explain(port)
        assert status == 1, document
        found = document["cause"]
        self.causes.agree(unit, found)
        assert found["summary"] == cause[0].removeprefix("Cause  "), found
        assert found["missing"] is None and any(re.search(words + "$", line) for line in found["journal"]), found
        return found

    def ends(self):
        machine, pw, checks = self.machine, self.pw, self.checks
        with checks("a service that ends with an exit status is told with it"):
            cause = self.end("port-exits.service", 7203, "exit status 3", WORDS)
            assert cause["exit"] == 3 and not cause["oom"], cause
        with checks("a service that the kernel killed for its MemoryMax is told as that"):
            cause = self.end("port-eats.service", 7201, "killed for want of memory",
                             r"A process of this unit has been killed by the OOM killer\.")
            assert cause["oom"] and cause["result"] == "oom-kill", cause
            assert machine.property("port-eats", "Result") == "oom-kill"
            assert "Memory cgroup out of memory: Killed process" in machine.journal("-k"), machine.journal("-k")
        with checks("one that systemd starts again after that is no mail"):
            machine.must("systemctl", "kill", "--signal=USR1", "port-again")
            pw.event(7202, "bounced", timeout=MAIL_WAIT)
            show = self.causes.show("port-again")
            assert (show["NRestarts"], show["SubState"]) == ("1", "running"), show
            _, found = self.explain(7202)
            # the machine has no network card: of that alone there is something to say
            assert [finding["kind"] for finding in found["findings"]] == ["host"], found
            assert found["endpoints"][0]["baseline"] == "match" and found["cause"]["process"] == "alive", found
            assert not found["cause"]["oom"] and found["cause"]["result"] is None and found["told"] is None, found
            assert "killed by the OOM killer" in machine.journal("-u", "port-again")
            machine.must("portwatch", "test")  # whatever was to be told before this has been
            self.mail("test message$")
            assert pw.kinds(7202) == ["learned", "bounced"], pw.history(7202)

    def read_the_mail(self):
        mails = self.pw.box.mails()
        for number, mail in enumerate(mails, 1):
            with self.checks(f"mail {number}, line by line: {mail.subject.removeprefix(f'[{world.HOST}] ')}"):
                mail.examine()
        with self.checks("no other mail came"):
            subjects = [mail.subject for mail in mails]
            assert len(subjects) == len(self.expected), f"{subjects}\nnot {self.expected}"


def run(tree, packages, props, higher):
    package = []

    def put(root):
        world.put_name(root)
        world.put_mail(root, props)
        world.put_services(root, props)
        for name in ("appd", "eatd"):
            shutil.copy(props / "shopd", root / "usr/sbin" / name)
        for name, text in UNITS.items():
            (root / "etc/systemd/system" / name).write_text(f"[Service]\n{text}")
        package.append(world.put_package(root, packages))

    def prepare(root):
        root.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package[0])
        root.must("systemctl", "disable", "portwatch")  # started once there is something to learn
        root.write(f"{world.CREDENTIALS}/smtp", world.PASSWORD + "\n", 0o600)
        config = root.path(world.CONFIG)
        text = world.uncomment(config.read_text(), "portwatch", TIMES)
        config.write_text(world.uncomment(text, "notifier:admin", world.mail_keys()))

    with Machine("oom", tree, put, prepare) as machine:
        story = Story(machine)
        story.watch()
        story.ends()
        story.read_the_mail()
