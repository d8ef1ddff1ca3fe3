"""The story of a person who installs the package, edits /etc/portwatch.conf and receives mail; then of months, in minutes:
services come, go, crash and move, the machine reboots, the package is upgraded, removed and purged."""

import json
import re
import sys

import world
from facts import Portwatch, everything_seen, journal_speaks, main_pid, service_runs, walls_stand
from guest import Guest, wait
from mail import MESSAGE_ID
from report import Checks, note

SHORT = {"interval": "500ms", "settle": "2s", "settle_closed": "5s", "boot_grace": "30s"}
DATABASE = "/var/lib/portwatch/portwatch.db"
JOURNAL_LINES = 150
SPARE_OPENED = r"WARNING 9090/tcp opened on all IPv4 addresses: spared \(user shop\)$"
SPARE_CLOSED = r"RESOLVED 9090/tcp closed again after \d+ (?:s|min): spared \(user shop\)$"


class Story:
    def __init__(self, guest, higher):
        self.guest, self.higher, self.pw = guest, higher, Portwatch(guest)
        self.checks = Checks(on_failure=self.show_journal)
        self.expected = []  # subjects, in the order of their coming

    def show_journal(self):
        note(self.guest.journal("-n", JOURNAL_LINES))

    def mail(self, pattern, **more):
        """Waits for a mail that the story wants, once."""
        seen = self.expected.count(pattern)
        found = self.pw.mail(pattern, seen=seen, **more)
        self.expected.append(pattern)
        return found

    # ---- installed

    def install(self, package):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("apt installs the package, with nothing but what Debian's minimum has"):
            guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package)
        with checks("the package starts the service, which says that it is ready"):
            service_runs(pw)
            assert guest.property("portwatch", "Type") == "notify"
        with checks("systemctl enable --now finds nothing left to do"):
            guest.must("systemctl", "enable", "--now", "portwatch")
            assert guest.must("systemctl", "is-enabled", "portwatch").strip() == "enabled"
        with checks("portwatch status says what to do next"):
            result = guest.run("portwatch", "status")
            assert result.returncode == 0, result.stdout + result.stderr
            for words in ("No notifier is configured", "[notifier:NAME]", "/etc/portwatch.conf", "still learning"):
                assert words in result.stdout, result.stdout
        with checks("configuration, credentials and state are for root and group portwatch alone"):
            owned = guest.must("stat", "-c", "%a %U:%G", world.CONFIG, world.CONFIG + ".d", world.CREDENTIALS,
                               "/var/lib/portwatch", DATABASE)
            assert owned.split("\n") == ["640 root:portwatch", "750 root:portwatch", "750 root:portwatch",
                                         "750 portwatch:portwatch", "640 portwatch:portwatch", ""], owned
        with checks("systemd finds no fault with the unit"):
            said = guest.run("systemd-analyze", "verify", "--man=no", "portwatch.service")
            assert said.returncode == 0 and "portwatch" not in said.stderr, said.stderr
        with checks("systemd-analyze security: at most 1.9"):
            table = guest.must("systemd-analyze", "security", "--no-pager", "portwatch.service")
            note("\n".join(line for line in table.splitlines() if re.match(r"✗|→", line)))
            exposure = float(re.search(r"Overall exposure level for portwatch.service: ([\d.]+)", table)[1])
            assert exposure <= 1.9, f"exposure {exposure}"

    def configure(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        guest.write(f"{world.CREDENTIALS}/smtp", world.PASSWORD + "\n", 0o600)
        pw.edit("portwatch", **SHORT)
        pw.edit("notifier:admin", **world.mail_keys())
        with checks("a reload that lacks the new credential fails and says what is missing"):
            result = guest.run("systemctl", "reload", "portwatch")
            assert result.returncode != 0, "the reload went well"
            said = guest.journal("-u", "portwatch", "-n", "20")
            assert re.search(r"/etc/portwatch\.conf:\d+: \[notifier:admin\] credential: .*smtp", said), said
        with checks("after a restart the edited configuration is in force"):
            guest.must("systemctl", "restart", "portwatch")
            service_runs(pw)
            assert [n["name"] for n in pw.status()["notifiers"]] == ["admin"]
        with checks("systemctl reload takes the configuration"):
            pw.reload()
        with checks("the learned message comes through STARTTLS and AUTH and lists what listens"):
            mail = self.mail(r"watching 6 ports on gate\.example\.net$", timeout=120)
            for row in (r"  tcp +0\.0\.0\.0:80 +webd \(user shop\)", r"  tcp +0\.0\.0\.0:6000 +goned \(user shop\)",
                        r"  tcp +0\.0\.0\.0:7000 +systemd for call\.socket \(user root\)",
                        r"  tcp +0\.0\.0\.0:7100 +lated \(user shop\)",
                        r"  tcp +127\.0\.0\.1:587 +exim4 \(user Debian-exim\)",
                        r"  tcp +127\.0\.0\.1:5432 +based \(user shop\)"):
                assert re.search(rf"^{row}$", mail.text, re.M), f"no row {row} in\n{mail.text}"
        with checks("portwatch status is green"):
            everything_seen(pw)
            result = guest.run("portwatch", "status")
            assert result.returncode == 0 and "none open" in result.stdout, result.stdout
            sentence = guest.property("portwatch", "StatusText")
            assert re.search(r"^Watching 6 ports, no open incident", sentence), sentence
        with checks("no wall is missing around the notifier"):
            walls_stand(pw)
        with checks("the journal has portwatch's own words"):
            journal_speaks(pw)

    # ---- an ordinary day

    def a_service_starts(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("a service with a socket is one mail with port, unit, executable and user"):
            guest.must("systemctl", "start", "shop")
            mail = self.mail(r"WARNING 8080/tcp opened on all IPv4 addresses: shopd \(user shop\)$")
            owner = re.search(r"^Owner  (.*)$", mail.text, re.M)[1]
            pid = guest.property("shop", "MainPID")
            assert owner == f"shop.service, /usr/sbin/shopd, user shop, pid {pid}", owner
        with checks("portwatch status and diff exit 1 while an incident is open"):
            assert guest.run("portwatch", "status").returncode == 1
            result = guest.run("portwatch", "diff")
            assert result.returncode == 1 and "+ tcp  0.0.0.0:8080  shopd (user shop)" in result.stdout, result.stdout
        with checks("its end is one mail in the same thread"):
            opened = pw.box.find("8080/tcp opened")[0]
            guest.must("systemctl", "stop", "shop")
            mail = self.mail(r"RESOLVED 8080/tcp closed again after \d+ (?:s|min): shopd \(user shop\)$")
            assert mail.references == [opened.id], mail.references

    def the_configuration_is_edited(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        good = guest.path(world.CONFIG).read_text()
        with checks("a wrong edit fails the reload, with file and line in the journal"):
            pw.append("\n[port:8080/tcp]\nname = the shop\nseverty = critical\n")
            line = guest.path(world.CONFIG).read_text().rstrip("\n").count("\n") + 1
            result = guest.run("systemctl", "reload", "portwatch")
            assert result.returncode != 0, "the reload went well"
            said = guest.journal("-u", "portwatch", "-n", "20")
            assert f"{world.CONFIG}:{line}: [port:8080/tcp] severty: " in said, said
        with checks("the old rules stay in force"):
            service_runs(pw)
            guest.must("systemctl", "start", "spare")
            self.mail(SPARE_OPENED)
            guest.must("systemctl", "stop", "spare")
            self.mail(SPARE_CLOSED)
        with checks("a right edit takes effect"):
            guest.path(world.CONFIG).write_text(good + "\n[port:8080/tcp]\nname = the shop\nseverity = critical\n")
            pw.reload()
            guest.must("systemctl", "start", "shop")
            self.mail(r"CRITICAL 8080/tcp \(the shop\) opened on all IPv4 addresses: shopd \(user shop\)$")
            guest.must("systemctl", "stop", "shop")
            self.mail(r"RESOLVED 8080/tcp \(the shop\) closed again after \d+ (?:s|min): shopd \(user shop\)$")

    def services_under_watch(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("a restarted service is a line of history, and no mail"):
            # again, should the machine have been too busy to look while it was down
            wait("a bounce", lambda: guest.must("systemctl", "restart", "web") == "" and bounced(pw, 80), 60, step=1)
            assert set(pw.kinds(80)) == {"learned", "bounced"}, pw.kinds(80)
        with checks("a crashed service is a mail that says it is closed, and one when it is back"):
            guest.must("systemctl", "kill", "--signal=SEGV", "web")
            mail = self.mail(r"WARNING 80/tcp closed \(was on all IPv4 addresses\): webd \(user shop\)$")
            assert re.search(r"^- tcp  0\.0\.0\.0:80  webd \(user shop\)$", mail.text, re.M), mail.text
            assert re.search(r"^Was    web\.service, /usr/sbin/webd, user shop$", mail.text, re.M), mail.text
            guest.must("systemctl", "start", "web")
            self.mail(r"RESOLVED 80/tcp open again after \d+ (?:s|min), on all IPv4 addresses: webd \(user shop\)$")
        with checks("a service that moves from loopback to all addresses is critical, and the mail says so"):
            guest.write("/etc/systemd/system/base.service.d/wide.conf",
                        "[Service]\nExecStart=\nExecStart=/usr/sbin/based 0.0.0.0 5432\n")
            guest.must("systemctl", "daemon-reload")
            guest.must("systemctl", "restart", "base")
            mail = self.mail(r"CRITICAL 5432/tcp now on all IPv4 addresses \(was this host only\): based \(user shop\)$")
            assert re.search(r"^- tcp  127\.0\.0\.1:5432  based \(user shop\)\n\+ tcp  0\.0\.0\.0:5432    based \(user shop\)$",
                             mail.text, re.M), mail.text
        with checks("the command in the mail accepts it"):
            command = re.search(r"^  keep   sudo (portwatch accept \S+ --reason) ", mail.text, re.M)[1]
            guest.must(*command.split(), "the shop moved")
            mail = self.mail(r"RESOLVED 5432/tcp accepted by root, on all IPv4 addresses: based \(user shop\)$")
            assert "\nReason: the shop moved\n" in mail.text, mail.text
            assert guest.run("portwatch", "status").returncode == 0
        with checks("a socket unit hands its socket to its service: no mail"):
            guest.must("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7000")
            wait("the service's process at the socket", lambda: "calld" in guest.must("portwatch", "list", "7000"), 30)
            row, = pw_list(pw, 7000)
            assert row["baseline"] == "match", row
            # until the daemon has looked at it too, more than once
            guest.must("systemctl", "start", "spare")
            self.mail(SPARE_OPENED)
            guest.must("systemctl", "stop", "spare")
            self.mail(SPARE_CLOSED)
            assert pw.kinds(7000) == ["learned"], pw.history(7000)

    # ---- portwatch itself in trouble

    def killed(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("killed, it is started again, tells what changed meanwhile, and nothing twice"):
            pid = main_pid(pw)
            before = restarts(guest)
            stop(guest, pid)  # what comes now it cannot see
            guest.must("systemctl", "start", "spare")
            guest.must("sh", "-c", f"kill -KILL {pid}")
            self.mail(SPARE_OPENED)
            assert restarts(guest) == before + 1, guest.journal("-u", "portwatch", "-n", "20")
            guest.must("systemctl", "stop", "spare")
            self.mail(SPARE_CLOSED)

    def hung(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("hung, it is ended by the watchdog and started again"):
            assert guest.property("portwatch", "WatchdogUSec") not in ("0", "infinity"), "no watchdog in the unit"
            guest.write("/etc/systemd/system/portwatch.service.d/watchdog.conf", "[Service]\nWatchdogSec=5s\n")
            guest.must("systemctl", "daemon-reload")
            guest.must("systemctl", "restart", "portwatch")
            before, pid = restarts(guest), main_pid(pw)
            stop(guest, pid)
            wait(lambda: f"a restart: {guest.journal('-u', 'portwatch', '-n', '10')}", lambda: restarts(guest) > before, 60)
            wait("the service", lambda: guest.property("portwatch", "ActiveState") == "active", 30)
            assert main_pid(pw) != pid
            said = guest.journal("-u", "portwatch")
            assert re.search(r"portwatch\.service: Watchdog timeout", said), said
            service_runs(pw)
            guest.path("/etc/systemd/system/portwatch.service.d/watchdog.conf").unlink()
            guest.must("systemctl", "daemon-reload")
            guest.must("systemctl", "restart", "portwatch")

    def rebooted(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        fixed = None
        with checks("with the mail server down the message waits, formed"):
            guest.must("systemctl", "mask", "--now", "exim4")
            guest.must("systemctl", "disable", "gone")
            guest.must("systemctl", "enable", "--now", "spare")
            wait("an attempt that failed", lambda: pw.status()["notifiers"][0]["failing_since"], 60)
            notifier = pw.status()["notifiers"][0]
            assert notifier["waiting"] == 1 and notifier["last_error"], notifier
            (fixed,) = query(guest, "SELECT id, subject FROM message WHERE state = 'waiting'")
            assert guest.run("portwatch", "status").returncode == 1
        guest.reboot()
        with checks("it comes up with the machine"):
            service_runs(pw)
        with checks("the message is still there after the boot"):
            assert query(guest, "SELECT id, subject FROM message WHERE state = 'waiting'") == [fixed]
        with checks("once the server is back it is delivered under the id it had before the boot"):
            guest.must("systemctl", "unmask", "exim4")
            guest.must("systemctl", "start", "exim4")
            mail = self.mail(SPARE_OPENED, timeout=150)
            assert mail.id == f"<{fixed[0]}@{world.HOST}>" and mail.subject == fixed[1], (mail.id, mail.subject, fixed)
        with checks("what did not come back is told when boot_grace is over, not before"):
            mail = self.mail(r"WARNING 6000/tcp closed \(was on all IPv4 addresses\): goned \(user shop\)$", timeout=120)
            age = mail.message["Date"].datetime.timestamp() - guest.booted()
            assert age >= 29, f"{age:.0f} s after the boot"
        with checks(f"a service that took {world.DELAY['late']} s to come up after the boot is no mail"):
            assert pw_list(pw, 7100)[0]["baseline"] == "match"
            kinds = set(pw.kinds(7100))
            assert kinds <= {"learned", "bounced"}, kinds

    # ---- the package's life

    def upgraded(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        wait("the build of the next version", lambda: (self.higher / "done").exists() or (self.higher / "failed").exists(), 240)
        with checks("the next version builds"):
            assert (self.higher / "done").exists(), (self.higher / "log").read_text()[-3000:]
        with checks("apt upgrades to a version with another schema, and keeps the edited configuration"):
            before = guest.path(world.CONFIG).read_bytes()
            kept = lasting(pw)
            old = main_pid(pw)
            assert query(guest, "PRAGMA user_version") == [[int((self.higher / "schema").read_text()) - 1]]
            package = world.put_package(guest.path("/"), self.higher)
            guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package)
            assert "99.0.0" in guest.must("portwatch", "--version")
            assert guest.path(world.CONFIG).read_bytes() == before
        with checks("the upgraded service runs, and has migrated the database"):
            service_runs(pw)
            assert main_pid(pw) != old
            assert query(guest, "PRAGMA user_version") == [[int((self.higher / "schema").read_text())]]
            assert query(guest, "SELECT words FROM upgrade_note") == [[f"endpoints: {len(kept['baseline'])}"]]
            assert query(guest, "SELECT DISTINCT upgraded FROM history") == [[7]]
        with checks("baseline, history and open incidents survive the upgrade"):
            now = lasting(pw)
            assert now["baseline"] == kept["baseline"], (kept["baseline"], now["baseline"])
            assert now["history"][:len(kept["history"])] == kept["history"]
            assert now["incidents"] == kept["incidents"] and len(kept["incidents"]) == 2, (kept["incidents"], now["incidents"])
        with checks("an incident from before the upgrade ends in its thread"):
            opened = pw.box.find(SPARE_OPENED)[-1]
            guest.must("systemctl", "stop", "spare")
            mail = self.mail(SPARE_CLOSED)
            assert mail.references == [opened.id], mail.references

    def explained(self):
        guest = self.guest
        with self.checks("journalctl -x explains all that portwatch says"):
            lines = guest.must("journalctl", "--no-pager", "-o", "json", "-u", "portwatch").splitlines()
            own = [e for e in map(json.loads, lines) if e.get("SYSLOG_IDENTIFIER") == "portwatchd"]
            silent = {e["MESSAGE"] for e in own if not e.get("MESSAGE_ID")}
            assert own and not silent, f"without an id: {silent}"
            known = guest.must("journalctl", "--list-catalog")
            unknown = {e["MESSAGE"] for e in own if e["MESSAGE_ID"] not in known}
            assert not unknown, f"not in the catalog: {unknown}"
            said = guest.must("journalctl", "--no-pager", "-x", "-u", "portwatch")
            assert said.count("\n░░ Defined-By: portwatch") >= len(own), said[-3000:]

    def removed(self):
        guest, pw, checks = self.guest, self.pw, self.checks
        with checks("apt remove stops the service, and keeps state and configuration"):
            guest.must("apt-get", "remove", "-y", "-o", "Dpkg::Use-Pty=0", "portwatch")
            assert guest.run("systemctl", "is-active", "portwatch").stdout.strip() == "inactive"
            assert not guest.must("sh", "-c", "pgrep portwatchd 2>/dev/null || grep -l '^portwatchd$' /proc/[0-9]*/comm || true")
            assert guest.path(DATABASE).exists() and guest.path(world.CONFIG).exists()
        with checks("installed again it goes on where it was"):
            package = world.put_package(guest.path("/"), self.higher)
            guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package)
            service_runs(pw)
            assert pw.status()["baseline"]["learned"] and pw.kinds(80)[0] == "learned"
        with checks("apt purge removes state and configuration"):
            guest.must("apt-get", "purge", "-y", "-o", "Dpkg::Use-Pty=0", "portwatch")
            guest.path(f"{world.CREDENTIALS}/smtp").unlink()  # the administrator's own
            left = [path for path in ("/var/lib/portwatch", world.CONFIG, world.CONFIG + ".d", "/usr/sbin/portwatchd",
                                      "/usr/libexec/portwatch", "/lib/systemd/system/portwatch.service")
                    if guest.path(path).exists()]
            assert not left, left
            assert guest.run("systemctl", "cat", "portwatch").returncode != 0

    def read_the_mail(self):
        mails = self.pw.box.mails()
        for number, mail in enumerate(mails, 1):
            with self.checks(f"mail {number}, line by line: {mail.subject.removeprefix(f'[{world.HOST}] ')}"):
                mail.examine()
        with self.checks("no mail came twice"):
            ids = [mail.id for mail in mails]
            assert len(ids) == len(set(ids)) and all(MESSAGE_ID.fullmatch(i) for i in ids), ids
        with self.checks("no other mail came than those of the story, in its order"):
            subjects = [mail.subject for mail in mails]
            surplus = [s for i, s in enumerate(subjects)
                       if i >= len(self.expected) or not re.search(self.expected[i], s)]
            assert len(subjects) == len(self.expected) and not surplus, f"{surplus}\nof {subjects}\nnot {self.expected}"


def bounced(pw, port):
    return "bounced" in pw.kinds(port)


def restarts(guest):
    return int(guest.property("portwatch", "NRestarts"))


def stop(guest, pid):
    """SIGSTOP, and waits until it stands."""
    guest.must("sh", "-c", f"kill -STOP {pid}")
    wait("a stopped process", lambda: "State:\tT" in guest.must("cat", f"/proc/{pid}/status"), 20)


def pw_list(pw, port):
    return json.loads(pw.guest.must("portwatch", "list", str(port), "--json"))["endpoints"]


def query(guest, sql):
    """Reads the database beside the daemon, as any reader may."""
    program = ("import json, sqlite3, sys; database = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=20);"
               "print(json.dumps(database.execute(sys.argv[2]).fetchall()))")
    return json.loads(guest.outside(sys.executable, "-c", program, guest.inner(DATABASE), sql))


def lasting(pw):
    """What an upgrade must not touch."""
    return {"baseline": query(pw.guest, "SELECT protocol, port, address, since, owners FROM baseline ORDER BY 1, 2, 3"),
            "history": pw.history(), "incidents": pw.status()["incidents"]}


def run(tree, packages, props, higher):
    package = []

    def prepare(root):
        world.put_name(root)
        world.put_mail(root, props)
        world.put_services(root, props, enabled=["web", "base", "late", "gone", "call.socket"])
        package.append(world.put_package(root, packages))

    with Guest("story", tree, prepare) as guest:
        story = Story(guest, higher)
        story.install(package[0])
        story.configure()
        story.a_service_starts()
        story.the_configuration_is_edited()
        story.services_under_watch()
        story.killed()
        story.hung()
        story.rebooted()
        story.upgraded()
        story.explained()
        story.removed()
        story.read_the_mail()
