"""`namespaces = all` with the drop-in that is shipped for it, by the words of the manual page; and what is said without."""

import re

import world
from facts import Portwatch, everything_seen, main_pid, service_runs, walls_stand
from guest import Guest, wait
from report import Checks, note

DROP_INS = "/etc/systemd/system/portwatch.service.d"
# portwatchd(8), NAMESPACES
GIVE = f"""mkdir -p {DROP_INS}
cp /usr/share/portwatch/namespaces.conf {DROP_INS}/
systemctl daemon-reload
systemctl restart portwatch"""
SYS_ADMIN = 1 << 21
TIMES = {"interval": "250ms", "settle": "1s", "settle_closed": "3s", "boot_grace": "0s"}
PORTS = range(7301, 7341)
COUNTED = 240  # seconds: what has gone is counted for a while


class Story:
    def __init__(self, guest):
        self.guest, self.pw = guest, Portwatch(guest)
        self.checks = Checks(on_failure=lambda: note(guest.journal("-n", "150")))
        self.expected = []

    def mail(self, pattern):
        found = self.pw.mail(pattern, seen=self.expected.count(pattern))
        self.expected.append(pattern)
        return found

    def deliver(self):
        """A test message: whatever was to be told before it has been."""
        self.guest.must("portwatch", "test")
        self.mail("test message$")

    def coverage(self, **wanted):
        """Waits until status says so."""
        def told():
            coverage = self.pw.status()["coverage"]
            return {key: coverage[key] for key in wanted} == wanted
        wait(lambda: f"{wanted}: {self.pw.status()['coverage']}", told, COUNTED)

    def unseen(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("where they are not watched, namespaces are counted"):
            guest.must("systemctl", "restart", "portwatch")
            self.coverage(seen="all host sockets", not_seen=["1 other network namespace"], namespaces_unseen=1,
                          complete=True)
            self.mail(r"watching 2 ports on gate\.example\.net$")
        with checks("namespaces = all without the drop-in says what it lacks"):
            pw.edit("portwatch", namespaces="all")
            guest.must("systemctl", "restart", "portwatch")
            service_runs(pw)
            self.coverage(not_seen=["1 other network namespace (no CAP_SYS_ADMIN: see portwatchd(8))"], namespaces_unseen=1)
            self.deliver()

    def seen(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("with the drop-in nothing is unseen"):
            for command in GIVE.splitlines():
                guest.must("sh", "-c", command)
            service_runs(pw)
            self.coverage(seen="all host sockets, and those of 1 other network namespace", not_seen=[], namespaces_seen=1,
                          namespaces_unseen=0, complete=True)
            said = guest.run("systemd-analyze", "verify", "--man=no", "portwatch.service")
            assert said.returncode == 0 and "portwatch" not in said.stderr, said.stderr
        with checks("the daemon has the capability, and its notifiers keep their walls"):
            status = guest.must("cat", f"/proc/{main_pid(pw)}/status")
            assert int(re.search(r"^CapEff:\t(\w+)$", status, re.M)[1], 16) & SYS_ADMIN, status
            self.deliver()
            walls_stand(pw)
        with checks("a namespace that ip netns makes now is seen too"):
            guest.must("ip", "netns", "add", "blue")
            # how many there are is written down once in a while
            self.coverage(seen="all host sockets, and those of 2 other network namespaces", not_seen=[], namespaces_seen=2)
        with checks("a listener there is told with its owner, and where it is"):
            guest.must("systemctl", "start", "blue@7300")
            mail = self.mail(r"WARNING 7300/tcp in namespace blue opened on all IPv4 addresses: shopd \(user shop\)$")
            assert "\n+ tcp  0.0.0.0:7300  shopd (user shop) in namespace blue\n" in mail.text, mail.text
            owner = re.search(r"^Owner  (.*)$", mail.text, re.M)[1]
            pid = guest.property("blue@7300", "MainPID")
            assert owner == f"blue@7300.service, /usr/sbin/shopd, user shop, pid {pid}", owner
            foot = mail.text.rstrip("\n").split("\n")[-1]
            assert foot == "Seen: all host sockets, and those of 2 other network namespaces.", foot
        with checks("the same port of the host is another one"):
            guest.must("systemctl", "start", "spare@7300")
            self.mail(r"WARNING 7300/tcp opened on all IPv4 addresses: spared \(user shop\)$")
            guest.must("systemctl", "stop", "spare@7300")
            self.mail(r"RESOLVED 7300/tcp closed again after \d+ (?:s|min): spared \(user shop\)$")

    def gone(self):
        guest, checks = self.guest, self.checks
        with checks("its end is told"):
            guest.must("systemctl", "stop", "blue@7300")
            self.mail(r"RESOLVED 7300/tcp in namespace blue closed again after \d+ (?:s|min): shopd \(user shop\)$")
        with checks(f"a namespace that goes is one message, not {len(PORTS)}"):
            guest.must("systemctl", "stop", "many")
            mail = self.mail(rf"WARNING namespace of many\.service closed, all its {len(PORTS)} ports: shopd \(user shop\)$")
            assert len(re.findall(r"^- tcp  0\.0\.0\.0:73\d\d  shopd", mail.text, re.M)) == len(PORTS), mail.text
            self.deliver()
        with checks("no other mail came, and what was there at first was learned without one"):
            subjects = self.pw.box.subjects()
            surplus = [s for i, s in enumerate(subjects) if i >= len(self.expected) or not re.search(self.expected[i], s)]
            assert len(subjects) == len(self.expected) and not surplus, f"{surplus}\nof {subjects}\nnot {self.expected}"
        with checks("in the end there is no other namespace"):
            guest.must("ip", "netns", "del", "blue")
            self.coverage(seen="all host sockets", not_seen=[], namespaces_seen=0, namespaces_unseen=0, complete=True)
            everything_seen(self.pw)


def run(tree, packages, props, higher):
    package = []

    def prepare(root):
        world.put_name(root)
        world.put_mail(root, props)
        world.put_services(root, props, enabled=["web"])
        units = root / "etc/systemd/system"
        (units / "many.service").write_text("[Service]\nUser=shop\nPrivateNetwork=yes\nExecStart=shopd "
                                            + " ".join(f"0.0.0.0 {port}" for port in PORTS) + "\n")
        (units / "blue@.service").write_text("[Service]\nUser=shop\nNetworkNamespacePath=/run/netns/blue\n"
                                             "ExecStart=shopd 0.0.0.0 %i\n")
        package.append(world.put_package(root, packages))

    with Guest("spaces", tree, prepare) as guest:
        guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package[0])
        guest.write(f"{world.CREDENTIALS}/smtp", world.PASSWORD + "\n", 0o600)
        guest.must("systemctl", "start", "many")
        story = Story(guest)
        story.pw.edit("portwatch", **TIMES)
        story.pw.edit("notifier:admin", **world.mail_keys())
        story.unseen()
        story.seen()
        story.gone()
