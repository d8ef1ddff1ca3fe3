#!/usr/bin/python3
"""What a tick costs, beside what others need to answer the same question. Prints figures, decides nothing.

    sudo tests/bench/run.py [--build DIR] [--counts 1000,10000,100000] [--rounds 5] [--ticks 30] [--only ticks|owners|hostile]

In a network namespace of its own stand 200 listeners and N established sockets. A portwatchd that knows all owners
ticks there; between its ticks `ss`, `netstat` and the script's pipeline are run, all by turns, so that the machine's mood
meets each alike. CPU is user and system time, children included, from the scheduler's own account; the wall time of
a tick is its CPU time and what it waited for a CPU. Medians of the rounds.

Then who holds what, among 3,000 processes with 100,000 descriptors: a steady tick, what one new listener costs on top of
it (of a program just started, of one that has listened before, of one nobody has thought of), and a start that knows nobody
(`portwatch list`), beside `ss -ltnp`.

Then what a hostile user costs who opens and closes 10,000 ports a second for a minute, with the times as installed: closed
again before a look can see them all, or held for longer than `settle`. It ends with what the database and the queue kept.
"""

import argparse
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
sys.dont_write_bytecode = True

import harness  # noqa: E402
from servers import HttpServer, RudeSmtp  # noqa: E402

LISTENERS = 200
INTERVAL = 0.1
RIVALS = {
    "ss -ltnp": "ss -ltnp",
    "ss -ltn": "ss -ltn",
    'netstat -an | grep ":80"': 'netstat -an | grep ":80"',
    "netstat -ltnp": "netstat -ltnp",
}


CLIENTS = """
import resource, socket, sys
listener, most = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
kept = []
for line in sys.stdin:
    while len(kept) < min(int(line), most):
        client = socket.socket()
        client.bind((sys.argv[3], 0))
        client.connect(("127.0.0.1", 80))
        kept += [client, listener.accept()[0]]
    print(len(kept), flush=True)
"""


class Crowd:
    """N established sockets in this namespace: both ends of N/2 connections, as a server with as many clients has them.
    Held by several processes, for a process has a limit of descriptors; the first of them listens on port 80 too."""

    def __init__(self):
        self._share = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100, 40000) // 2 * 2
        self._listener = socket.create_server(("127.0.0.1", 80), backlog=4096)
        self._processes = []

    def grow(self, count):
        for index in range(-(-count // self._share)):
            if index == len(self._processes):
                # a source address each: ephemeral ports run out after 28000
                self._processes.append(subprocess.Popen(
                    [sys.executable, "-c", CLIENTS, str(self._listener.fileno()), str(self._share), f"127.0.1.{1 + index}"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[self._listener.fileno()]))
            worker = self._processes[index]
            print(count - index * self._share, file=worker.stdin, flush=True)
            if not worker.stdout.readline():
                raise RuntimeError(f"could not make {count} connections")

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._listener.close()


def schedule(pid):
    """(CPU nanoseconds, nanoseconds spent waiting for a CPU) of a single-threaded process."""
    return tuple(map(int, pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[:2]))


def tick_cost(watch, ticks):
    """(CPU, wall) milliseconds of a tick, over about `ticks` of them."""
    pid = watch.process.pid
    first, begun = schedule(pid), time.monotonic()
    time.sleep(ticks * INTERVAL)
    last, took = schedule(pid), time.monotonic() - begun
    number = took / INTERVAL
    cpu = (last[0] - first[0]) / number / 1e6
    return cpu, cpu + (last[1] - first[1]) / number / 1e6


def rival_cost(command):
    """(CPU, wall) milliseconds of one run of a shell command."""
    begun = time.monotonic()
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    _, _, usage = os.wait4(pid, 0)
    return (usage.ru_utime + usage.ru_stime) * 1000, (time.monotonic() - begun) * 1000


def measure(watch, rounds, ticks):
    """{name: (CPU, wall)}, measured by turns."""
    samples = {name: [] for name in ["portwatchd, one tick", *RIVALS]}
    for _ in range(rounds):
        samples["portwatchd, one tick"].append(tick_cost(watch, ticks))
        for name, command in RIVALS.items():
            samples[name].append(rival_cost(command))
    return {name: tuple(statistics.median(s[i] for s in found) for i in (0, 1)) for name, found in samples.items()}


def show(title, figures, ours):
    ours = figures[ours]
    print(f"\n{title}")
    print(f"  {'':28} {'CPU ms':>10} {'wall ms':>10} {'CPU ratio':>10} {'wall ratio':>10}")
    for name, (cpu, wall) in figures.items():
        print(f"  {name:28} {cpu:10.3f} {wall:10.3f} {cpu / ours[0]:10.2f} {wall / ours[1]:10.2f}")
    sys.stdout.flush()


PROCESSES, DESCRIPTORS, CROWD_LISTENERS = 3000, 34, 200


class Newcomers:
    """Makes one listener, and takes it away again: of three kinds of processes."""

    def __init__(self, programs, directory):
        crowd = directory / "crowd"
        subprocess.run(["cc", "-O1", "-o", crowd, HERE.parent / "integration" / "crowd.c"], check=True)
        # the oldest of all processes here, which holds nothing that is watched
        self._stranger = subprocess.Popen([crowd, "1", "34", "0", "0"], text=True, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE)
        assert self._stranger.stdout.readline() == "ready\n"
        self._many = subprocess.Popen([crowd, str(PROCESSES), str(DESCRIPTORS), str(CROWD_LISTENERS), "10000"],
                                      text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._many.stdout.readline() == "ready\n"
        self._programs, self._holder, self._port = programs, None, 20000

    def _tell(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    def come(self, kind):
        self._port += 1
        if kind == "started":
            self._holder = subprocess.Popen([self._programs.holder, f"tcp@0.0.0.0@{self._port}"],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._holder.stdout.readline()
        else:
            self._tell(self._many if kind == "known" else self._stranger, f"listen {self._port}")

    def go(self, kind):
        if kind == "started":
            self._holder.kill()
            self._holder.wait()
            self._holder.stdin.close()
            self._holder.stdout.close()
        else:
            self._tell(self._many if kind == "known" else self._stranger, "close")

    def close(self):
        for process in (self._many, self._stranger):
            process.kill()
            process.wait()


def newcomer_cost(watch, newcomers, kind, steady):
    """(CPU, wall) milliseconds of a tick in which one listener is new."""
    pid = watch.process.pid
    ticks = 40  # a machine that is busy takes its time over a deep look
    first, begun = schedule(pid), time.monotonic()
    newcomers.come(kind)
    time.sleep(ticks * INTERVAL)
    last, took = schedule(pid), time.monotonic() - begun
    newcomers.go(kind)
    time.sleep(ticks * INTERVAL)  # its going costs a confirmation, which is not what is measured
    others = took / INTERVAL - 1
    cpu = (last[0] - first[0]) / 1e6 - others * steady[0]
    return cpu, cpu + (last[1] - first[1]) / 1e6 - others * (steady[1] - steady[0])


def owners(programs, directory, rounds, ticks):
    listing = f"{programs.cli} --state-dir {directory} list"
    names = {"started": "new: a program just started", "known": "new: one that listens already",
             "stranger": "new: the oldest of all"}
    samples = {name: [] for name in ["portwatchd, steady tick", *names.values(), "portwatch list (cold)", "ss -ltnp"]}
    newcomers = Newcomers(programs, directory)
    watch = None
    try:
        # nothing settles: what is measured is looking, not telling
        watch = harness.Watch(programs, directory / "owners", harness.config_text(
            {"interval": "100ms", "settle": "1h", "settle_closed": "1h"})).start()
        time.sleep(15)  # the pause after the first, deep look is over
        for _ in range(rounds):
            steady = tick_cost(watch, ticks)
            samples["portwatchd, steady tick"].append(steady)
            for kind, name in names.items():
                samples[name].append(newcomer_cost(watch, newcomers, kind, steady))
            samples["portwatch list (cold)"].append(rival_cost(listing))
            samples["ss -ltnp"].append(rival_cost("ss -ltnp"))
            time.sleep(10)  # before Linux 6.2 the oldest of all took a deep look
        figures = {name: tuple(statistics.median(s[i] for s in found) for i in (0, 1)) for name, found in samples.items()}
        show(f"{PROCESSES} processes with {PROCESSES * DESCRIPTORS} descriptors, {CROWD_LISTENERS} listeners; "
             "ratios to ss -ltnp", figures, "ss -ltnp")
    finally:
        if watch and watch.process:
            watch.kill()
        newcomers.close()


def hostile(programs, directory, name, rate, held, seconds):
    directory.mkdir()
    opener = directory / "opener"
    subprocess.run(["cc", "-O2", "-o", opener, HERE / "opener.c"], check=True)
    with HttpServer() as hook, RudeSmtp() as smtp:
        watch = harness.Watch(programs, directory, harness.config_text(
            {"interval": None, "settle": None, "settle_closed": None, "boot_grace": "0s"},
            harness.email_section(smtp.url, group_wait="5s") + harness.hook_section(hook, group_wait="5s"))).start()

        def disk():
            return sum(f.stat().st_size for f in watch.state.iterdir() if f.name.startswith("portwatch.db")) // 1024
        try:
            harness.wait_until(lambda: hook.requests and smtp.bodies, 15, "learned messages")
            rss, size, first, begun = watch.rss(), disk(), schedule(watch.process.pid), time.monotonic()
            opened = int(subprocess.run([opener, str(rate), str(seconds), str(held)], capture_output=True, text=True,
                                        check=True, user=65534).stdout)
            took, last = time.monotonic() - begun, schedule(watch.process.pid)
            time.sleep(90)  # what was told returns, and the queue comes to rest
            mails = smtp.bodies[1:]
            print(f"\na user opens {opened / took:.0f} ports a second for {took:.0f} s, {name}:\n"
                  f"  CPU {(last[0] - first[0]) / 1e9 / took * 100:.1f} % of one core meanwhile; resident {rss} KiB before, "
                  f"{harness.memory(watch.process.pid, 'VmHWM')} KiB at most, {watch.rss()} KiB after\n"
                  f"  database {size} KiB before, {disk()} KiB after; {len(mails)} mails of {sum(map(len, mails)) // 1024} KiB,"
                  f" the largest {max(map(len, mails), default=0) // 1024} KiB; {len(hook.requests) - 1} posts")
            sys.stdout.flush()
        finally:
            watch.kill()


def children_memory(programs, directory):
    """RssAnon in KiB of the notifier children that have just delivered."""
    with HttpServer() as hook, RudeSmtp() as smtp:
        text = harness.config_text({}, harness.email_section(smtp.url, group_wait="0s")
                                   + harness.hook_section(hook, group_wait="0s"))
        watch = harness.Watch(programs, directory, text).start()
        try:
            harness.wait_until(lambda: hook.requests and smtp.bodies, 15, "learned messages")
            time.sleep(0.5)
            return [harness.memory(pid, "RssAnon") for pid in watch.children()]
        finally:
            watch.stop()


def idle_share(programs, directory, seconds):
    watch = harness.Watch(programs, directory, harness.config_text({"interval": "1s"})).start()
    try:
        time.sleep(3)
        first, begun = schedule(watch.process.pid), time.monotonic()
        time.sleep(seconds)
        last, took = schedule(watch.process.pid), time.monotonic() - begun
        return (last[0] - first[0]) / 1e9 / took, watch.rss(), harness.memory(watch.process.pid, "RssAnon")
    finally:
        watch.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build")
    parser.add_argument("--counts", default="1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=30, help="ticks measured a round")
    parser.add_argument("--only", choices=["ticks", "owners", "hostile"])
    parser.add_argument("--idle", type=int, default=30, help="seconds to watch an idle daemon")
    options = parser.parse_args()
    if options.build:
        os.environ["PORTWATCH_BUILD"] = options.build
    counts = sorted(map(int, options.counts.split(",")))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-bench-"))
    directory.chmod(0o755)
    try:
        run(options, counts, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run(options, counts, directory):
    programs = harness.Programs(harness.find_build(), directory / "stage")
    print(f"build {programs.build.name}, kernel {os.uname().release}, {os.cpu_count()} CPUs")
    if options.only in (None, "ticks"):
        run_ticks(options, programs, counts, directory)
    if options.only in (None, "owners"):
        with harness.network_namespace():
            owners(programs, directory, options.rounds, options.ticks)
    if options.only in (None, "hostile"):
        for name, rate, held in (("gone after 10 ms", 10000, 100), ("gone after 2 s", 10000, 20000),
                                 ("gone after 8 s", 2000, 16000)):
            with harness.network_namespace():
                hostile(programs, directory / name.replace(" ", "-"), name, rate, held, 60)


def run_ticks(options, programs, counts, directory):
    with harness.network_namespace():
        held = harness.Listeners(programs.holder, directory)
        crowd = Crowd()
        watch = None
        try:
            # a handful of programs, as on a real machine; :80 is the crowd's
            for number in range(LISTENERS - 1):
                if number % 20 == 0:
                    ports = range(2000 + number, 2000 + min(number + 20, LISTENERS - 1))
                    held.start(*[f"tcp@0.0.0.0@{port}" for port in ports], name=f"service{number // 20}")
            watch = harness.Watch(programs, directory / "tick", harness.config_text({"interval": "100ms"})).start()
            for count in counts:
                crowd.grow(count)
                time.sleep(2)
                show(f"{count} established sockets, {LISTENERS} listeners",
                     measure(watch, options.rounds, options.ticks), "portwatchd, one tick")
            print(f"\nportwatchd resident: {watch.rss()} KiB")
            watch.stop()
            share, rss, anonymous = idle_share(programs, directory / "idle", options.idle)
            print(f"idle at interval = 1s: {share * 100:.3f} % of one core, {rss} KiB resident, {anonymous} KiB anonymous")
            figures = children_memory(programs, directory / "children")
            print("notifier children, RssAnon: " + ", ".join(f"{kib} KiB" for kib in figures))
        finally:
            if watch and watch.process:
                watch.kill()
            crowd.close()
            held.stop_all()


if __name__ == "__main__":
    main()
