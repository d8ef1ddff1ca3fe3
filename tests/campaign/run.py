#!/usr/bin/python3
"""The fault campaign: real programs, real sockets, random harm, and then every promise is looked at.

    sudo tests/campaign/run.py [--build DIR] [--runs N] [--first N] [--seed N] [--jobs N] [--keep]

Each run makes a plan of its seed (plan.py), carries it out in namespaces of its own (world.py), lets all faults end,
waits for recovery and audits (audit.py). A seed that fails is printed, its directory is kept, and `--seed N` carries out
the same plan again."""

import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "campaign")]

import audit
import harness
import peers
import plan as plans
import servers
from world import World, libc

RUN_LIMIT = 600  # seconds, past every patience of a run: one that hangs has failed


class Certificates:
    """One authority that is trusted, one that is not, and a certificate of the first that is over."""

    def __init__(self, directory):
        good, wrong = servers.Ca(directory / "good"), servers.Ca(directory / "wrong")
        for one in (good, wrong):
            self.sign(one, one.cert, "20200101000000Z", "20990101000000Z")
        expired = type("Expired", (), {"cert": directory / "expired.pem", "key": good.key})
        self.sign(good, expired.cert, "20200101000000Z", "20210101000000Z")
        self.authority = good.ca
        self.contexts = peers.contexts(good, wrong, expired)

    def sign(self, ca, cert, begins, ends):
        """For the names of the servers, and past the reach of a clock that is set."""
        d = ca.ca.parent
        (d / "ca.conf").write_text("[ca]\ndefault_ca=x\n[x]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n"
                                   "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[e]\n"
                                   "subjectAltName=DNS:mail.test,DNS:hook.test\n")
        (d / "index").write_text("")
        (d / "serial").write_text(f"{time.time_ns():020x}\n")
        subprocess.run(["openssl", "ca", "-config", "ca.conf", "-batch", "-notext", "-in", "server.csr", "-cert", ca.ca,
                        "-keyfile", "ca.key", "-out", cert, "-startdate", begins, "-enddate", ends, "-extensions", "e"],
                       check=True, cwd=d, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Stage:
    """What all runs share."""

    def __init__(self, build, directory):
        self.directory = directory
        self.programs = harness.Programs(build, directory / "stage")
        self.shim = directory / "stage" / "clock.so"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.shim, pathlib.Path(__file__).with_name("clock.c")],
                       check=True)
        self.certificates = Certificates(directory / "certificates")


def carry_out(world):
    """The plan, and recovery; raises where it does not come. Returns what descriptors the daemon had before."""
    plan = world.plan
    steps = list(plan.steps)
    if plan.faulty_start:
        for step in [s for s in steps if s[0] == 0 and s[1] == "fault"]:
            world.do(step)
            steps.remove(step)
    world.start()
    world.wait(lambda: audit.learned(world), "learned what listens")
    rest = at_rest(world)
    begin = time.monotonic()
    for step in steps:
        while (left := begin + step[0] - time.monotonic()) > 0:
            world.tend()
            time.sleep(min(left, 0.05))
        world.tend()
        world.do(step)
    world.all_ends()
    recover(world)
    return rest


def recover(world):
    plan, tail = world.plan, world.watch.tail
    world.say("all faults have ended")

    def told(probe=False):
        expected = audit.expected_open(plan, probe)
        world.wait(lambda: audit.open_ports(world) == expected,
                   lambda: f"open are {audit.open_ports(world)}, not {expected}\n{tail()}", 120)
        world.wait(lambda: audit.waiting(world) == [], lambda: f"waiting: {audit.waiting(world)}\n{tail()}", 120)

    world.wait(lambda: world.watch.process and world.watch.is_ready(), "portwatchd is up again")
    told()
    world.hold(audit.PROBE, "web")  # it still watches
    told(probe=True)


def at_rest(world):
    """Its descriptors: three looks that agree, for a child may begin between two system calls of ours."""
    looks = []

    def agree():
        looks.append(world.descriptors())
        return len(looks) >= 3 and looks[-3] == looks[-2] == looks[-1] and looks[-1]

    return world.wait(agree, lambda: f"descriptors that stay: {looks[-3:]}")


def inspect(world, rest):
    """While it runs: its own word for it, its children, its descriptors."""
    status = world.watch.cli("status")
    assert status.returncode == 1, f"status {status.returncode}\n{status.stdout}{status.stderr}"
    assert f"{audit.PROBE}/tcp" in status.stdout, status.stdout

    def notifiers():
        return [(one["name"], one["waiting"], one["failing_since"]) for one in world.watch.json("status")["notifiers"]]

    world.wait(lambda: notifiers() == [("hook", 0, None), ("mail", 0, None)], lambda: f"{notifiers()}", step=0.5)
    harness.wait_until(lambda: not world.zombies(), what=lambda: f"zombies: {world.zombies()}")
    harness.wait_until(lambda: not world.descriptors() - rest, what=lambda: f"left open: {world.descriptors() - rest}")


def stop(world):
    """In order, and with nothing on its way: a port may still have changed hands a moment ago."""
    for _ in range(20):
        world.watch.stop()
        if audit.waiting(world) == []:
            return
        world.start()
        world.wait(lambda: world.watch.is_ready() and audit.waiting(world) == [], world.watch.tail, 120)
    raise AssertionError(f"there is always more to tell: {audit.waiting(world)}")


def hangs(number, frame):
    raise AssertionError(f"the run hangs: {RUN_LIMIT} s")


def one(stage, seed, directory):
    """One run, in this process: a report of it."""
    plan = plans.make(seed)
    world = World(plan, stage.programs, stage.certificates, stage.shim, directory)
    report = {"seed": seed, "failure": None, "events": 0, "injected": {}}
    began = time.monotonic()
    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(RUN_LIMIT)
    try:
        world.build()
        rest = carry_out(world)
        inspect(world, rest)
        stop(world)
        audit.check_database(world)
        report["events"] = audit.delivered(world)
    except BaseException:
        report["failure"] = traceback.format_exc()
    finally:
        try:
            if report["failure"]:
                keep(world, directory, report["failure"])
            world.end()
        except BaseException:
            report["failure"] = report["failure"] or traceback.format_exc()
    report["injected"] = dict(world.injected)
    report["seconds"] = time.monotonic() - began
    return report


def keep(world, directory, failure):
    """The file system of the state goes with its namespace: a copy stays."""
    (directory / "failure").write_text(failure)
    (directory / "plan").write_text("\n".join(map(str, [world.plan, *world.plan.steps])))
    shutil.copytree(world.watch.state, directory / "state-kept", ignore=shutil.ignore_patterns("ballast", "filler*"))


def fork(stage, seed):
    """A run in a process of its own: (pid, the file its report comes in, its directory)."""
    directory = stage.directory / f"seed-{seed}"
    directory.mkdir(mode=0o755)
    pid = os.fork()
    if pid:
        return pid, directory
    status = 1
    try:
        libc.prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        report = one(stage, seed, directory)
        (directory / "report").write_text(json.dumps(report))
        status = 0
    finally:
        os._exit(status)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--keep", action="store_true", help="keep the directory of every run")
    arguments = parser.parse_args()
    seeds = collections.deque([arguments.seed] if arguments.seed is not None else
                              range(arguments.first, arguments.first + arguments.runs))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-campaign-"))
    directory.chmod(0o755)
    stage = Stage((arguments.build or harness.find_build()).resolve(), directory)
    running, failed, runs, events, seconds = {}, [], 0, 0, 0
    injected = collections.Counter()
    began = time.monotonic()
    while seeds or running:
        while seeds and len(running) < arguments.jobs:
            seed = seeds.popleft()
            pid, place = fork(stage, seed)
            running[pid] = (seed, place)
        pid, _ = os.wait()
        if pid not in running:
            continue
        seed, place = running.pop(pid)
        report = place / "report"
        result = json.loads(report.read_text()) if report.exists() else {
            "failure": "the run ended without a report", "events": 0, "injected": {}, "seconds": 0}
        runs, events, seconds = runs + 1, events + result["events"], seconds + result["seconds"]
        injected.update(result["injected"])
        if result["failure"]:
            failed.append(seed)
            print(f"seed {seed} failed ({place}):\n{result['failure']}", flush=True)
        elif not arguments.keep:
            shutil.rmtree(place)
    for name, count in sorted(injected.items()):
        print(f"  {count:6d}  {name}")
    usage = os.times()
    print(f"{runs} runs, {sum(injected.values())} faults, {events} events delivered, {len(failed)} failed; "
          f"{time.monotonic() - began:.0f} s, {seconds / max(runs, 1):.1f} s a run, "
          f"{usage.children_user + usage.children_system + usage.user + usage.system:.0f} s of CPU")
    for seed in failed:
        print(f"again: sudo tests/campaign/run.py --seed {seed}")
    if not failed and not arguments.keep:
        shutil.rmtree(directory)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
