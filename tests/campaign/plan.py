"""What one run does, drawn from its seed: plain values that know nothing of the machine. One seed is one plan."""

import dataclasses
import random

PORTS = range(8000, 8006)
PROGRAMS = ("web", "other")
DAY = 86400

# What a server does instead of its work: (name as it is counted, what it does: see peers.py).
MAIL_FAULTS = (
    ("smtp 421", ("greeting", "421 too busy")), ("smtp 421", ("mail", "421 too many messages")),
    ("smtp 450", ("rcpt", "450 greylisted")), ("smtp 450", ("body", "450 mailbox is locked")),
    ("smtp 550", ("rcpt", "550 no such user")), ("smtp 550", ("body", "550 looks like spam")),
    ("smtp 552", ("data", "552 quota used up")), ("smtp 552", ("body", "552 too large")),
    ("smtp drop", ("greeting", "drop")), ("smtp drop", ("rcpt", "drop")),
    ("smtp drop in DATA", ("text", "drop")), ("smtp drop in DATA", ("body", "drop")),
    ("smtp never answers", ("greeting", "silent")), ("smtp never answers", ("ehlo", "silent")),
    ("smtp never answers", ("body", "silent")),
    ("smtp byte a second", ("greeting", "dribble")), ("smtp byte a second", ("body", "dribble")),
)
HOOK_FAULTS = (
    ("http 429", ("429", 1)), ("http 429", ("429", 2)), ("http 429", ("429", 3600)),
    ("http 401", ("401", None)), ("http 500", ("500", None)), ("http 413", ("413", None)),
    ("http redirect loop", ("302", None)), ("http endless body", ("endless", None)),
    ("http drop", ("drop", None)), ("http never answers", ("silent", None)), ("http byte a second", ("dribble", None)),
)
TLS_FAULTS = (("tls wrong certificate", ("tls", "wrong")), ("tls expired certificate", ("tls", "expired")))
POINTS = ("before-commit", "after-commit", "before-form", "after-form", "before-send", "after-send", "after-result")


@dataclasses.dataclass
class Plan:
    seed: int
    tls: tuple  # of "mail", "hook": which servers speak TLS
    disk: int  # MiB of the state's file system: under 32 there is no ballast
    patient: bool  # nobody reloads: what waits goes by its own time
    first: dict  # port: program that holds it before the daemon starts
    last: dict  # and what holds it in the end
    steps: list  # (when, what, arguments...), in order
    faulty_start: bool  # the servers' faults of the beginning are there before the daemon is


def _listeners(draw, length):
    """Each port changes hands at most three times: one that comes and goes all the time is another test's."""
    first = {port: draw.choice(PROGRAMS) for port in PORTS if draw.random() < 0.4}
    last, steps = dict(first), []
    for port in PORTS:
        for when in sorted(draw.uniform(0, length) for _ in range(draw.choice((0, 1, 1, 2, 3)))):
            holder = draw.choice([p for p in (None, *PROGRAMS) if p != last.get(port)])
            steps.append((when, "hold", port, holder))
            if holder:
                last[port] = holder
            else:
                last.pop(port)
    return first, last, steps


def _server_faults(draw, server, faults, length):
    steps, when = [], draw.choice((0, draw.uniform(0, length)))
    for _ in range(draw.choice((0, 1, 1, 2))):
        name, what = draw.choice(faults)
        end = min(length, when + draw.uniform(0.3, 2.5))
        steps += [(when, "fault", server, name, what), (end, "calm", server)]
        when = end + draw.uniform(0, 1)
        if when >= length:
            break
    return steps


def _machine_faults(draw, length):
    steps = []
    for kind in draw.sample(("kill", "kill", "point", "child", "cause", "disk", "lock", "suspend", "clock", "dns"),
                            draw.choice((1, 2, 2, 3))):
        when = draw.uniform(0, length * 0.8)
        end = min(length, when + draw.uniform(0.2, 2))
        if kind == "kill":
            steps.append((when, "kill", "portwatchd"))
        elif kind == "point":
            steps.append((when, "point", f"{draw.choice(POINTS)}:{draw.choice((1, 1, 2))}"))
        elif kind == "child":
            # once a server keeps it busy there is one to be killed
            steps += [(when + delay, "kill", "portwatch-notify") for delay in (0, 0.2)]
        elif kind == "cause":
            steps += [(when + delay, "kill", "portwatch-cause") for delay in (0, 0.3)]
        elif kind == "disk":
            steps += [(when, "fill"), (end, "free")]
            if draw.random() < 0.5:  # and again, where the ballast was given up
                steps.append(((when + end) / 2, "fill"))
        elif kind == "lock":
            steps += [(when, "lock"), (end, "unlock")]
        elif kind == "suspend":
            steps += [(when, "suspend"), (end, "resume")]
        elif kind == "clock":
            steps += [(when, "clock", draw.choice((-DAY, DAY))),
                      ((when + end) / 2, "clock", draw.choice((-DAY, 0, DAY))),
                      (end, "clock", draw.choice((-DAY, 0)))]
        elif kind == "dns":
            steps += [(when, "dns", "hang"), (end, "dns", "answer")]
    return steps


def make(seed):
    draw = random.Random(seed)
    length = draw.uniform(2, 3.5)
    tls = tuple(server for server in ("mail", "hook") if draw.random() < 0.35)
    disk, patient, faulty_start = draw.choice((16, 48)), draw.random() < 0.25, draw.random() < 0.3
    first, last, steps = _listeners(draw, length)
    for server, faults in (("mail", MAIL_FAULTS), ("hook", HOOK_FAULTS)):
        if server in tls:
            faults = faults + TLS_FAULTS * 2
        if patient:  # an hour is too long to be patient
            faults = tuple(fault for fault in faults if fault[1] != ("429", 3600))
        steps += _server_faults(draw, server, faults, length)
    steps += _machine_faults(draw, length)
    steps.sort(key=lambda step: step[0])
    return Plan(seed, tls, disk, patient, first, last, steps, faulty_start)
