"""The times that a person gets who sets none: boot_grace 2m, settle_closed 60s. And the system's own certificates."""

import re

import world
from facts import Portwatch
from guest import Guest, wait
from report import Checks, note

BOOT_GRACE, SETTLE_CLOSED = 120, 60
LATE = 30  # seconds that a service takes to come up after the boot


def date(mail):
    return mail.message["Date"].datetime.timestamp()


def run(tree, packages, props, higher):
    package = []

    def prepare(root):
        world.put_name(root)
        world.put_mail(root, props)
        world.put_services(root, props, enabled=["web", "late"], delays={"late": LATE})
        package.append(world.put_package(root, packages))

    with Guest("defaults", tree, prepare) as guest:
        pw = Portwatch(guest)
        checks = Checks(on_failure=lambda: note(guest.journal("-n", "100")))
        with checks("apt installs the package"):
            guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package[0])
        with checks("a mail server is trusted that the system trusts"):
            guest.must("cp", world.CA, "/usr/local/share/ca-certificates/guest.crt")
            guest.must("update-ca-certificates")
            guest.write(f"{world.CREDENTIALS}/smtp", world.PASSWORD + "\n", 0o600)
            keys = world.mail_keys()
            del keys["ca_file"], keys["group_wait"]
            pw.edit("notifier:admin", **keys)
            guest.must("systemctl", "restart", "portwatch")
            guest.must("portwatch", "test")
        with checks("boot_grace is 2m by default: until then it learns"):
            booted = guest.booted()
            learned = pw.mail("watching 3 ports", timeout=BOOT_GRACE + 90)
            assert date(learned) >= booted + BOOT_GRACE - 1, f"{date(learned) - booted:.0f} s after the boot"
            assert "\n  tcp  0.0.0.0:7100  lated (user shop)\n" in learned.text, learned.text
        with checks("settle_closed is 60s by default: so long nobody is told"):
            guest.must("systemctl", "stop", "web")
            mail = pw.mail("WARNING 80/tcp closed", timeout=SETTLE_CLOSED + 90)
            hours, minutes, seconds = map(int, re.match(r"Since (\d\d):(\d\d):(\d\d) UTC nobody", mail.text).groups())
            told = mail.message["Date"].datetime
            stood = (told.hour * 3600 + told.minute * 60 + told.second - hours * 3600 - minutes * 60 - seconds) % 86400
            assert stood >= SETTLE_CLOSED, f"told after {stood} s"
        with checks(f"a service that takes {LATE} s to come up after the boot is no mail"):
            guest.reboot()
            # seen as gone, and as back
            wait(lambda: f"a bounce of 7100: {pw.kinds(7100)}", lambda: "bounced" in pw.kinds(7100), LATE + 90)
            guest.must("portwatch", "test")
            told = [m.subject for m in pw.box.mails() if "7100" in m.subject + m.text and m is not learned]
            assert not told and set(pw.kinds(7100)) == {"learned", "bounced"}, (told, pw.kinds(7100))
        for number, mail in enumerate(pw.box.mails(), 1):
            with checks(f"mail {number}, line by line: {mail.subject.removeprefix(f'[{world.HOST}] ')}"):
                mail.examine()
