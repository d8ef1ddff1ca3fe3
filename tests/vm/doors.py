"""Every door that the unit leaves open is there for something: a drop-in closes each in turn, and what it is for breaks.
Whoever opens another, or no longer needs one, finds this part failing."""

import functools
import re
import time

import world
from facts import (Portwatch, cause_told, ephemeral_known, everything_seen, journal_speaks, mail_delivered, reload_taken,
                   service_runs, service_told, socket_unit_told, walls_stand, webhook_delivered)
from guest import Guest, Patience
from report import Checks, note

DROP_IN = "/etc/systemd/system/portwatch.service.d/closed.conf"
BREAK_WAIT = 20  # seconds
TIMES = {"interval": "250ms", "settle": "1s", "settle_closed": "2s", "boot_grace": "0s"}


def walls_stand_around_a_notifier(pw):
    mail_delivered(pw)
    walls_stand(pw)


FACTS = {
    "the service starts and says that it is ready": service_runs,
    "all sockets are seen": everything_seen,
    "a service is told with unit, executable and user": service_told,
    "a socket unit is told by its name": socket_unit_told,
    "why a port closed is told": cause_told,
    "the range of ephemeral ports is known": ephemeral_known,
    "mail is delivered": mail_delivered,
    "mail is delivered over IPv6": functools.partial(mail_delivered, notifier="six"),
    "a webhook is delivered": webhook_delivered,
    "a reload is taken": reload_taken,
    "the journal has portwatch's own words": journal_speaks,
    "no wall is missing around a notifier": walls_stand_around_a_notifier,
}

BOTH = "CAP_DAC_READ_SEARCH CAP_SYS_PTRACE"
FAMILIES = ["AF_NETLINK", "AF_INET", "AF_INET6", "AF_UNIX"]
STARTS, SEEN, OWNER, SOCKET, CAUSE, RANGE, MAIL, MAIL6, HOOK, RELOAD, JOURNAL, WALLS = FACTS


def without(family):
    return "RestrictAddressFamilies=\nRestrictAddressFamilies=" + " ".join(f for f in FAMILIES if f != family)


# (the door, the line of systemd-analyze security that counts it, what closes it, what breaks)
DOORS = [
    ("CAP_DAC_READ_SEARCH", "CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)",
     "CapabilityBoundingSet=~CAP_DAC_READ_SEARCH\nAmbientCapabilities=~CAP_DAC_READ_SEARCH", OWNER),
    ("CAP_SYS_PTRACE", "CapabilityBoundingSet=~CAP_SYS_PTRACE",
     "CapabilityBoundingSet=~CAP_SYS_PTRACE\nAmbientCapabilities=~CAP_SYS_PTRACE", OWNER),
    ("ambient capabilities", "AmbientCapabilities=", "AmbientCapabilities=", OWNER),
    ("the journal's group", "SupplementaryGroups=", "SupplementaryGroups=", CAUSE),
    ("the host's users", "PrivateUsers=", "PrivateUsers=yes", OWNER),
    ("the host's network", "PrivateNetwork=", "PrivateNetwork=yes", OWNER),
    ("netlink sockets", "RestrictAddressFamilies=~AF_NETLINK", without("AF_NETLINK"), SEEN),
    ("IPv4 sockets", "RestrictAddressFamilies=~AF_(INET|INET6)", without("AF_INET"), MAIL),
    ("IPv4 sockets, for webhooks", "RestrictAddressFamilies=~AF_(INET|INET6)", without("AF_INET"), HOOK),
    ("IPv6 sockets", "RestrictAddressFamilies=~AF_(INET|INET6)", without("AF_INET6"), MAIL6),
    ("local sockets", "RestrictAddressFamilies=~AF_UNIX", without("AF_UNIX"), STARTS),
    ("any IP address", "IPAddressDeny=", "IPAddressDeny=any", MAIL),
    ("the host's root directory", "RootDirectory=/RootImage=", "RootDirectory=/srv", STARTS),
    ("all of /proc", "ProcSubset=", "ProcSubset=pid", RANGE),
    ("the state directory", None, "StateDirectory=\nNoExecPaths=\nReadOnlyPaths=/var/lib/portwatch", STARTS),
    ("pipe2", None, "SystemCallFilter=~pipe2", MAIL),
    *((f"the system calls of {group}", None, f"SystemCallFilter=~{group}", STARTS)
      for group in ("@file-system", "@io-event", "@network-io", "@signal", "@sync", "@timer")),
    ("the system calls of @process", None, "SystemCallFilter=~@process", MAIL),
    ("landlock_create_ruleset", None, "SystemCallFilter=~landlock_create_ruleset", WALLS),
    ("landlock_add_rule", None, "SystemCallFilter=~landlock_add_rule", WALLS),
    ("landlock_restrict_self", None, "SystemCallFilter=~landlock_restrict_self", WALLS),
]
# What systemd-analyze counts and no drop-in can close.
EXPLAINED = {"DeviceAllow=": "ProtectClock= itself adds char-rtc"}


def restart(guest):
    guest.must("systemctl", "daemon-reload")
    guest.must("systemctl", "reset-failed")
    guest.run("systemctl", "restart", "portwatch")


def close(guest, lines):
    # a start that never gets ready is to fail while one watches
    guest.write(DROP_IN, f"[Service]\nTimeoutStartSec=8s\nRestart=no\n{lines}\n")
    restart(guest)


def breaks(pw, fact):
    """What the fact's function says once it does not hold. What was known before the door closed may stand for a moment."""
    end = time.monotonic() + BREAK_WAIT
    while time.monotonic() < end:
        try:
            FACTS[fact](pw)
        except AssertionError as broken:
            return str(broken).strip().splitlines()[0]
        time.sleep(0.5)
    return None


def prove(checks, pw, door, lines, fact):
    with checks(f"closing {door}: not so any more: {fact}"):
        close(pw.guest, lines)
        Patience.factor, before = 0.2, Patience.factor
        try:
            said = breaks(pw, fact)
        finally:
            Patience.factor = before
        assert said is not None, f"with\n{lines}\nit holds all the same"
        note(f"{door} closed: {said[:200]}")


def hold(checks, pw, when):
    for fact, function in FACTS.items():
        with checks(f"{when}: {fact}"):
            function(pw)


def run(tree, packages, props, higher):
    package = []

    def prepare(root):
        world.put_name(root)
        world.put_mail(root, props)
        world.put_services(root, props, enabled=["web", "hooks"])
        package.append(world.put_package(root, packages))

    with Guest("doors", tree, prepare) as guest:
        pw = Portwatch(guest)
        checks = Checks(on_failure=lambda: note(guest.journal("-n", "150")))
        guest.outside("nsenter", "-t", guest.pid, "--net", "sh", "-c",
                      f"echo {world.RANGE} >/proc/sys/net/ipv4/ip_local_port_range")
        guest.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package[0])
        guest.write(f"{world.CREDENTIALS}/smtp", world.PASSWORD + "\n", 0o600)
        pw.edit("portwatch", **TIMES)
        pw.edit("notifier:admin", **world.mail_keys(server="smtp://127.0.0.1:587"))
        pw.edit("notifier:chat", plugin="webhook", url="http://127.0.0.1:8099/hook", group_wait="1s", max_per_hour="1000")
        pw.append("\n[notifier:six]\n" + "".join(
            f"{key} = {value}\n" for key, value in world.mail_keys(server="smtp://[::1]:587").items()))
        guest.must("systemctl", "restart", "portwatch")
        hold(checks, pw, "as the unit is")

        with checks("every line that systemd-analyze security counts is a door of these"):
            table = guest.must("systemd-analyze", "security", "--no-pager", "portwatch.service")
            counted = set(re.findall(r"^✗ (\S+)", table, re.M))
            known = {line for _, line, _, _ in DOORS if line} | set(EXPLAINED) | {"SystemCallFilter=~@privileged"}
            assert counted <= known, f"new: {counted - known}"
        for door, _, lines, fact in DOORS:
            prove(checks, pw, door, lines, fact)
        guest.path(DROP_IN).unlink()
        restart(guest)
        hold(checks, pw, "open again")
