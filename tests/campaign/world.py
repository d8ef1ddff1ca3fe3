"""The world of one run: namespaces of its own, listeners, servers, a portwatchd that is started again whenever it
ends, and every way to do it harm."""

import collections
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import sqlite3
import struct
import time

import harness
import peers

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind="none", flags=0, options=""):
    harness.check_libc(libc.mount(str(source).encode(), str(target).encode(), kind.encode(), flags, options.encode()))


class World:
    def __init__(self, plan, programs, certificates, clock_shim, directory):
        self.plan, self.programs, self.directory = plan, programs, directory
        self.injected = collections.Counter()
        self._shim, self._certificates = clock_shim, certificates
        self._restart_at = self._point = self._locker = None
        self._armed = False
        self._fillers = []
        self.said = directory / "campaign.log"

    def say(self, text):
        with open(self.said, "a") as file:
            file.write(f"{time.monotonic() - self.began:8.3f} {text}\n")

    # ---- making it

    def build(self):
        self.began = time.monotonic()
        harness.check_libc(libc.unshare(harness.CLONE_NEWNET | CLONE_NEWNS))
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        harness.loopback_up()
        resolver = self.directory / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        resolver.chmod(0o644)
        mount(resolver, "/etc/resolv.conf", flags=MS_BIND)
        self.names = peers.Names()
        context = self._certificates.contexts
        self.servers = {"mail": peers.Mail(context if "mail" in self.plan.tls else None),
                        "hook": peers.Hook(context if "hook" in self.plan.tls else None)}
        for server in self.servers.values():
            server.__enter__()
        state = self.directory / "watch" / "state"
        state.mkdir(parents=True, mode=0o750)
        mount("campaign", state, "tmpfs", options=f"size={self.plan.disk}m,mode=0750")
        self._clock = self.directory / "clock"
        self._clock.write_bytes(struct.pack("q", 0))
        self.watch = harness.Watch(
            self.programs, self.directory / "watch", self.configuration(), wrapper=("setpriv", "--pdeathsig", "KILL"),
            env={"LD_PRELOAD": str(self._shim), "CAMPAIGN_CLOCK": str(self._clock)})
        self.listeners = harness.Listeners(self.programs.holder, self.directory)
        self.held = {}
        for port, program in self.plan.first.items():
            self.hold(port, program)

    def configuration(self):
        """Names, so that they must be looked up; several messages rather than one; no limit a run may come to."""
        keys = {"group_wait": "100ms", "max_per_hour": "1000"}
        authority = {"ca_file": str(self._certificates.authority)}
        mail, hook = self.servers["mail"], self.servers["hook"]
        scheme = ("smtps", "https")
        sections = harness.email_section(
            f"{scheme[0] if 'mail' in self.plan.tls else 'smtp'}://mail.test:{mail.port}", name="mail",
            **(authority if "mail" in self.plan.tls else {}), **keys)
        sections += harness.hook_section(
            f"{scheme[1] if 'hook' in self.plan.tls else 'http'}://hook.test:{hook.port}/hook", name="hook",
            **(authority if "hook" in self.plan.tls else {}), **keys)
        return harness.config_text({"interval": "100ms", "settle": "200ms", "settle_closed": "200ms"}, sections)

    def end(self):
        with contextlib.suppress(Exception):
            self.unlock()
        for server in self.servers.values():
            server.calm()
        if self.watch.process:
            self.watch.process.kill()
            self.watch.process.wait()
        self.listeners.stop_all()

    # ---- what stands on ports

    def hold(self, port, program):
        if port in self.held:
            self.listeners.stop(self.held.pop(port))
        if program:
            self.held[port] = self.listeners.start(f"tcp@0.0.0.0@{port}", name=program)

    # ---- the daemon, and who starts it again

    def start(self):
        point, self._point = self._point, None
        self._armed = point is not None
        self._restart_at = None
        self.watch.start(ready=False, **({"PORTWATCH_FAULT": point} if point else {}))

    def tend(self):
        """As a service manager does: it was killed, or could not start, and is started again."""
        process = self.watch.process
        if process and process.poll() is not None:
            status = process.returncode
            self.say(f"portwatchd ended with {status}")
            self.watch._ended()
            if status not in (-signal.SIGKILL, 1):
                raise AssertionError(f"portwatchd ended with {status}:\n{self.watch.tail()}")
            self._restart_at = time.monotonic() + 0.2
        if self._restart_at and time.monotonic() >= self._restart_at:
            self.start()

    def wait(self, condition, what, timeout=harness.PATIENCE, step=0.1):
        """harness.wait_until with a service manager, and with somebody who reloads if the plan has one: what waits by its
        back-off is then tried at once."""
        reload_at = time.monotonic() + 2

        def look():
            nonlocal reload_at
            self.tend()
            if not self.plan.patient and time.monotonic() >= reload_at and self.watch.process and self.watch.is_ready():
                reload_at = time.monotonic() + 2
                self.watch.reload()
            return condition()

        return harness.wait_until(look, timeout, what, step)

    def children(self):
        """(pid, name) of each."""
        found = []
        if not self.watch.process:
            return found
        with contextlib.suppress(OSError):
            for pid in self.watch.children():
                with contextlib.suppress(OSError):
                    found.append((pid, pathlib.Path(f"/proc/{pid}/comm").read_text().strip()))
        return found

    def descriptors(self):
        """What the daemon holds open, by kind, but for what is a child's (socket and pidfd; a notifier's a pipe too) and a
        pidfd for each process that listens."""
        kinds = collections.Counter()
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{self.watch.process.pid}/fd"):
                kinds[re.sub(r"\d+", "N", os.readlink(f"/proc/{self.watch.process.pid}/fd/{number}").split(":[")[0])] += 1
        for _, name in self.children():
            kinds.subtract(["socket", "anon_inode", *(["pipe"] if name != "portwatch-cause" else [])])
        kinds["anon_inode"] -= len(self.held)
        return +kinds

    def zombies(self):
        found = []
        for pid, _ in self.children():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
                found += [pid] if stat.rsplit(")", 1)[1].split()[0] == "Z" else []
        return found

    # ---- harm

    def do(self, step):
        self.say(" ".join(map(str, step[1:])))
        getattr(self, f"do_{step[1]}", None)(*step[2:])

    def do_hold(self, port, program):
        self.hold(port, program)

    def do_fault(self, server, name, what):
        self.servers[server].misbehave(name, what)
        self.injected[name] += 1

    def do_calm(self, server):
        fault = self.servers[server].fault
        if fault:
            self.say(f"{server}: {fault.name} met {fault.met} times")
        self.servers[server].calm()

    def do_kill(self, name):
        if name == "portwatchd":
            if self.watch.process and self.watch.process.poll() is None:
                self.watch.process.kill()
                self.injected["kill -9 portwatchd"] += 1
            return
        for pid, comm in self.children():
            if name.startswith(comm):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.injected[f"kill -9 {name}"] += 1

    def do_point(self, point):
        """Killed now, and then once more where it is about to do, or has just done, this."""
        self._point = point
        if self.watch.process and self.watch.process.poll() is None:
            self.watch.process.kill()
        self.injected[f"kill -9 {point.split(':')[0]}"] += 1

    def do_fill(self):
        path = self.watch.state / f"filler{len(self._fillers)}"
        self._fillers.append(path)
        with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        self.injected["disk full"] += 1

    def do_free(self):
        for path in self._fillers:
            path.unlink(missing_ok=True)

    def do_lock(self):
        locker = sqlite3.connect(self.watch.state / "portwatch.db", isolation_level=None, timeout=5)
        with contextlib.suppress(sqlite3.OperationalError):
            locker.execute("BEGIN EXCLUSIVE")
            self.injected["database locked"] += 1
        self._locker = locker

    def do_unlock(self):
        self.unlock()

    def unlock(self):
        if self._locker:
            self._locker.close()
        self._locker = None

    def do_suspend(self):
        self._suspended = [pid for pid, _ in self.children()]
        if self.watch.process:
            self._suspended.append(self.watch.process.pid)
        for pid in self._suspended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.injected["suspend"] += 1

    def do_resume(self):
        for pid in self._suspended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def do_clock(self, offset):
        with open(self._clock, "r+b") as file:
            file.write(struct.pack("q", offset))
        if offset:
            self.injected["clock"] += 1

    def do_dns(self, what):
        self.names.hanging = what == "hang"
        if self.names.hanging:
            self.injected["dns hangs"] += 1

    def all_ends(self):
        """Whatever a plan has left."""
        for server in self.servers.values():
            server.calm()
        self.names.hanging = False
        self.do_clock(0)
        self.do_free()
        self.unlock()
        self._point = None
        if self._armed:  # it may not have come to its point yet
            self.do_kill("portwatchd")
