#!/usr/bin/python3
"""The user's story on a booted Debian: run.py [--part NAME]... [--junit FILE].

Takes the packages of $PORTWATCH_PACKAGES, else builds them; makes a Debian tree; boots a guest for each part, all at one
time; prints a line for each check, and the guest's journal where one falls short. Needs root, systemd-container,
mmdebstrap, qemu-system-x86, openssl and a C compiler."""

import argparse
import concurrent.futures
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import xml.etree.ElementTree as xml

import higher
import tree
import world

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "vm"
PARTS = ["oom", "story", "defaults", "doors", "plain", "package", "causes", "spaces"]  # the longest first
PART_LIMIT = 460  # the whole is to end within eight minutes, loudly
EMULATED_LIMIT = 960  # but for what is emulated: on a busy machine that takes as long as it takes


class Part:
    """One guest's checks, in a process of its own."""

    def __init__(self, name, arguments):
        self.name, self.checks, self.finished, self.began = name, [], False, time.monotonic()
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", sys.executable, __file__, "--run", name,
                                         *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.timer = threading.Timer(EMULATED_LIMIT if name == "oom" else PART_LIMIT, self.stop)
        self.timer.daemon = True
        self.timer.start()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._take(json.loads(line))
        status = self.process.wait()
        self.timer.cancel()
        print(f"# {self.name} took {time.monotonic() - self.began:.0f} s", flush=True)
        if status or not self.finished:
            self._take({"check": "ran to its end", "failure": f"ended with status {status}", "seconds": 0})

    def _take(self, line):
        if "finished" in line:
            self.finished = True
        elif "note" in line:
            print("\n".join(f"#     {self.name}: {text}" for text in line["note"].splitlines()), flush=True)
        else:
            self.checks.append(line)
            failure = line["failure"]
            if failure:
                first, *rest = failure.strip().splitlines()
                print(f"FAIL {self.name}: {line['check']}: {first}", *("        " + r for r in rest), sep="\n", flush=True)
            else:
                print(f"ok {self.name}: {line['check']}", flush=True)

    def stop(self):
        """It cleans up after itself; what does not is ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def write(self, suites):
        suite = xml.SubElement(suites, "testsuite", name=self.name)
        for check in self.checks:
            case = xml.SubElement(suite, "testcase", classname=f"vm.{self.name}", name=check["check"],
                                  time=f"{check['seconds']:.3f}")
            if check["failure"]:
                xml.SubElement(case, "failure", message=check["failure"].strip().splitlines()[0]).text = check["failure"]


def unwind(*_):
    """SIGTERM ends us in order, so that the guests go too; one is enough."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("terminated")


def run_part(name, arguments):
    """In the part's own process."""
    signal.signal(signal.SIGTERM, unwind)
    importlib.import_module(name).run(*map(pathlib.Path, arguments))
    print(json.dumps({"finished": True}), flush=True)


def packages():
    """The directory of the packages, built where nobody has done it."""
    given = os.environ.get("PORTWATCH_PACKAGES")
    if given:
        return pathlib.Path(given).resolve()
    directory = ROOT / "build" / "packages"
    subprocess.run([ROOT / "packaging/deb.sh", "--output", directory], check=True, stdout=subprocess.DEVNULL)
    return directory


def run_parts(names, work):
    """The two things that take a minute at one time, then the guests at one time."""
    props = work / "props"
    props.mkdir()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        building, making = pool.submit(packages), pool.submit(tree.make, BUILD)
        world.make_props(props)
        built, made = building.result(), making.result()
    print(f"# packages in {built}, tree {made.name}", flush=True)
    upgrade = higher.Build(ROOT, work / "higher") if "story" in names else None
    parts = []
    try:
        parts = [Part(name, [made, built, props, work / "higher"]) for name in names]
        for part in parts:
            part.reader.join()
    finally:
        for part in parts:
            part.stop()
        if upgrade:
            upgrade.stop()
    return parts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--junit", type=pathlib.Path, default=ROOT / "build/results/vm.xml")
    arguments = parser.parse_args()
    if os.getuid() != 0:
        parser.error("must run as root")
    signal.signal(signal.SIGTERM, unwind)
    BUILD.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    suites = xml.Element("testsuites")
    parts = []
    try:
        with tempfile.TemporaryDirectory(prefix="work-", dir=BUILD) as work:
            parts = run_parts(arguments.part or PARTS, pathlib.Path(work))
    except Exception:
        traceback.print_exc()
    for part in parts:
        part.write(suites)
    passed = sum(not check["failure"] for part in parts for check in part.checks)
    failed = sum(bool(check["failure"]) for part in parts for check in part.checks)
    if parts:
        arguments.junit.parent.mkdir(parents=True, exist_ok=True)
        xml.ElementTree(suites).write(arguments.junit)
    for part in parts:
        for check in part.checks:
            if check["failure"]:
                print(f"failed: {part.name}: {check['check']}")
    print(f"# took {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run_part(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
