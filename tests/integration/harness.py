"""What the integration tests stand on: the built programs, a network namespace a test, listeners of every kind, and a
real portwatchd in it.

The build comes from $PORTWATCH_BUILD (else the newest folder in build/). $PORTWATCH_SLOW multiplies every timeout
(sanitised builds). Programs and plugins are copied to a directory of root's under /tmp, for the notifier children give
up the rights to read a checkout in somebody's home directory.
"""

import contextlib
import ctypes
import email
import email.policy
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOW = float(os.environ.get("PORTWATCH_SLOW", "1"))
CLONE_NEWNET = 0x40000000
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")

_libc = ctypes.CDLL(None, use_errno=True)


def check_libc(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


PATIENCE = 60  # seconds that a busy machine may need for what is done at once


def wait_until(condition, timeout=PATIENCE, what="", step=0.05):
    """Polls until condition() is true and returns its value; fails the test when `timeout` (at least PATIENCE, scaled)
    is over: how long it takes is no matter."""
    __tracebackhide__ = True
    timeout = max(timeout, PATIENCE) * SLOW
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {timeout:g} s: {what() if callable(what) else what or condition}")
        time.sleep(step)


def stalled():
    """Seconds since boot in which something waited for a processor or a disk; 0 where the kernel does not count it."""
    total = 0
    for what in ("cpu", "io"):
        with contextlib.suppress(OSError):
            total += int(re.search(r"some .*total=(\d+)", pathlib.Path(f"/proc/pressure/{what}").read_text()).group(1))
    return total / 1e6


def stays(condition, seconds, what=""):
    """Fails as soon as condition() is false within `seconds` (not scaled)."""
    __tracebackhide__ = True
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what or "did not stay so"
        time.sleep(0.05)


# ---- the namespace


def loopback_up():
    with socket.socket() as s:
        request = struct.pack("16sH14x", b"lo", 1)
        flags = struct.unpack("16sH14x", fcntl.ioctl(s, 0x8913, request))[1]  # SIOCGIFFLAGS
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))  # SIOCSIFFLAGS, IFF_UP


@contextlib.contextmanager
def network_namespace():
    """Puts the calling thread, and all it starts, into a new network namespace; it is gone with its last process."""
    with open("/proc/thread-self/ns/net") as home:
        check_libc(_libc.unshare(CLONE_NEWNET))
        try:
            loopback_up()
            yield
        finally:
            check_libc(_libc.setns(home.fileno(), CLONE_NEWNET))


# ---- the programs


class Programs:
    """Paths of a build's programs, copied so that any user may run them. .plugins is a directory."""

    def __init__(self, build, stage):
        stage.mkdir(mode=0o755)
        self.build, self.stage = build, stage
        self.daemon = self._take("src/daemon/portwatchd", stage / "portwatchd")
        self.cli = self._take("src/cli/portwatch", stage / "portwatch")
        self.notify = self._take("src/notify/portwatch-notify", stage / "portwatch-notify")
        self.cause = self._take("src/cause/portwatch-cause", stage / "portwatch-cause")
        self.plugins = stage / "plugins"
        self.plugins.mkdir(mode=0o755)
        for plugin in sorted([*(build / "src/plugins").glob("*.so"), *(build / "tests/plugins").glob("*.so")]):
            self._take(plugin.relative_to(build), self.plugins / plugin.name)
        self.holder = stage / "holder"
        subprocess.run(["cc", "-O1", "-o", self.holder, pathlib.Path(__file__).with_name("holder.c")], check=True)

    def _take(self, name, target):
        shutil.copy(self.build / name, target)
        os.chown(target, 0, 0)
        os.chmod(target, 0o755)
        return target


def find_build():
    named = os.environ.get("PORTWATCH_BUILD")
    if named:
        return pathlib.Path(named).resolve()
    built = sorted(ROOT.glob("build/*/src/daemon/portwatchd"), key=lambda p: p.stat().st_mtime)
    if not built:
        raise RuntimeError("nothing built: set PORTWATCH_BUILD or run meson setup build/gcc && ninja -C build/gcc")
    return built[-1].parents[2]


# ---- listeners


class Listeners:
    """Starts holder processes and ends them with the test."""

    def __init__(self, holder, directory):
        self._holder, self._directory, self._processes = holder, directory, []

    def start(self, *specs, name=None, path=None, argv0=None, comm=None, forks=0, uid=None, **popen):
        """Holds the sockets of `specs` (see holder.c) and returns the process once they stand.
        name: file name of the executable; path: its whole path; argv0: what it says its name is."""
        executable = pathlib.Path(path) if path else self._directory / "bin" / name if name else self._holder
        if executable != self._holder and not executable.exists():
            executable.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._holder, executable)
        command = [argv0 or str(executable)]
        for option, value in (("-c", comm), ("-f", forks or None), ("-u", uid)):
            if value is not None:
                command += [option, str(value)]
        process = subprocess.Popen([*command, *specs], executable=str(executable), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, **popen)
        self._processes.append(process)
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"could not hold {specs}: status {process.wait()}")
        return process

    def stop(self, process, kill=False):
        """Ends one and waits until the kernel has closed its sockets."""
        if process.poll() is None:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        process.wait()
        process.stdin.close()
        process.stdout.close()
        if process in self._processes:
            self._processes.remove(process)

    def stop_all(self):
        for process in list(self._processes):
            self.stop(process, kill=True)


# ---- portwatchd

FAST = """\
[portwatch]
interval = 200ms
settle = 1s
settle_closed = 2s
boot_grace = 0s
"""


def config_text(portwatch=None, sections=""):
    """A configuration with short times. portwatch: keys of [portwatch] that differ; sections: the rest, as text."""
    keys = {"interval": "200ms", "settle": "1s", "settle_closed": "2s", "boot_grace": "0s", **(portwatch or {})}
    return "[portwatch]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None) + "\n" + sections


class Watch:
    """A portwatchd with a configuration and a state directory of its own. Use as a context manager or start/stop."""

    def __init__(self, programs, directory, config=FAST, env=None, arguments=(), wrapper=()):
        self.programs, self.directory = programs, pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.config, self.state = self.directory / "portwatch.conf", self.directory / "state"
        self.log_file = self.directory / "log"
        self.env, self.arguments, self.wrapper = dict(env or {}), list(arguments), list(wrapper)
        self.process = None
        self.notified = ""
        self.markers = 0
        self.plugin_crashes = False  # of the notifier `bad`, on purpose: a sanitised child says so
        if config is not None:
            self.configure(config)

    def configure(self, text):
        # written aside: a reader never sees half a file
        new = self.config.with_suffix(".new")
        if isinstance(text, bytes):
            new.write_bytes(text)
        else:
            new.write_text(text)
        new.chmod(0o640)
        new.rename(self.config)

    def command(self):
        return [*self.wrapper, str(self.programs.daemon), "--config", str(self.config), "--state-dir", str(self.state),
                "--plugin-dir", str(self.programs.plugins), "--notify-program", str(self.programs.notify),
                "--cause-program", str(self.programs.cause), *self.arguments]

    def start(self, ready=True, timeout=PATIENCE, **env):
        """Starts it and waits until it says READY=1 (Type=notify). ready=False: does not wait."""
        address = str(self.directory / "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        if not self.state.exists():
            self.state.mkdir(mode=0o750)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(address)
        self._notify.settimeout(0.2)
        self._listening = threading.Event()
        self._listening.set()
        environment = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "INVOCATION_ID")}
        environment.update({"NOTIFY_SOCKET": address, **self.env, **env})
        self.notified = ""
        # sd_notify blocks where nobody reads
        threading.Thread(target=self._hear, args=(self._notify, self._listening), daemon=True).start()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment)
        if ready:
            wait_until(lambda: self.is_ready() or self.process.poll() is not None, timeout, "READY=1")
            assert self.process.poll() is None, f"portwatchd ended with {self.process.returncode}:\n{self.log()}"
        return self

    def _hear(self, notify, listening):
        with notify:
            while listening.is_set():
                with contextlib.suppress(TimeoutError):
                    self.notified += notify.recv(65536).decode(errors="replace") + "\n"

    def is_ready(self):
        return "READY=1" in self.notified

    def stop(self, timeout=PATIENCE):
        """An orderly end: exit status 0, and nothing said by a sanitizer."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"portwatchd did not end on SIGTERM:\n{self.log()}") from None
            assert self.process.returncode == 0, f"ended with {self.process.returncode}:\n{self.log()}"
        self._ended()

    def kill(self):
        """kill -9, as in a crash."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._ended()

    def wait_exit(self, timeout=PATIENCE):
        """Waits for it to end by itself and returns the status."""
        status = self.process.wait(timeout * SLOW)
        self._ended()
        return status

    def _ended(self):
        self.process = None
        self._listening.clear()
        log = self.log()
        if self.plugin_crashes:
            log = re.sub(r"(?m)^portwatchd: notifier bad: .*$", "", log)
        found = SANITIZER.search(log)
        assert not found, log[max(0, found.start() - 200) :][:6000]

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def reloaded(self, text, expect, timeout=10):
        """Installs another configuration, reloads, and waits until the log says `expect` (a regular expression) and it has
        been looked by it."""
        before, mark = len(self.log()), len(self.notified)
        self.configure(text)
        self.reload()
        wait_until(lambda: re.search(expect, self.log()[before:]), timeout, lambda: f"log says {expect!r}:\n{self.tail()}")
        wait_until(lambda: re.search(r"(?s)RELOADING=1.*READY=1", self.notified[mark:]), timeout, self.tail)

    def log(self):
        try:
            return self.log_file.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, timeout=10):
        return wait_until(lambda: re.search(pattern, self.log(), re.M), timeout,
                          lambda: f"{pattern!r} in the log:\n{self.tail()}")

    def tail(self):
        return self.log()[-4000:]

    def look_at(self, listeners):
        """Returns when it has looked at what is there now: a port on loopback, history and no more, is known to it."""
        self.markers += 1
        listeners.start(f"tcp@127.0.0.1@{self.markers}", name="marker")
        self.wait_log(rf"\b{self.markers}/tcp: opened")

    # the command line

    def cli(self, *arguments, stdin=None, **more):
        """Runs portwatch with this configuration and state: CompletedProcess with text."""
        result = subprocess.run([str(self.programs.cli), "--config", str(self.config), "--state-dir", str(self.state),
                                 "--plugin-dir", str(self.programs.plugins), "--notify-program", str(self.programs.notify),
                                 *arguments], input=stdin, capture_output=True, text=True, timeout=180 * SLOW,
                                errors="replace", **more)
        assert not SANITIZER.search(result.stderr), result.stderr
        return result

    def json(self, *arguments, status=(0, 1, 2)):
        result = self.cli(*arguments, "--json")
        assert result.returncode in status, (result.returncode, result.stdout, result.stderr)
        return json.loads(result.stdout)

    def history(self, *arguments):
        result = self.cli("history", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    # its processes

    def children(self):
        """Pids of its notifier children."""
        pid = self.process.pid
        return [int(child) for task in os.listdir(f"/proc/{pid}/task")
                for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss(self):
        """Resident KiB."""
        return memory(self.process.pid, "VmRSS")

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        if not self.process:
            return
        if kind:
            # the test has failed already: its reason is the one to show
            self.process.kill()
            self.process.wait()
            sys.stderr.write(self.log()[-6000:])
            return
        self.stop()


def memory(pid, field):
    """A field of /proc/PID/status in KiB."""
    return int(re.search(rf"^{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


# ---- notifiers of a configuration


def email_section(server, name="ops", to=("ops@localhost",), **keys):
    """A [notifier:] for servers.Exim or a URL. Keys override; None leaves one out."""
    url = server if isinstance(server, str) else server.url
    lines = {"plugin": "email", "server": url, "from": "portwatch@localhost", "group_wait": "1s"}
    if not isinstance(server, str) and hasattr(server, "ca"):
        from servers import PASSWORD, USER
        lines.update({"starttls": "required", "username": USER, "password": PASSWORD, "ca_file": str(server.ca.ca)})
    elif url.startswith("smtp:"):
        lines["starttls"] = "no"
    lines.update(keys)
    return (f"[notifier:{name}]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None)
            + "".join(f"to = {address}\n" for address in to) + "\n")


def hook_section(server, name="chat", secret=None, **keys):
    """A [notifier:] for servers.HttpServer or a URL."""
    url = server if isinstance(server, str) else server.url
    lines = {"plugin": "webhook", "url": url, "group_wait": "1s", "secret": secret, **keys}
    return f"[notifier:{name}]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None) + "\n"


def posted_events(server):
    """Every event that an HttpServer took with a 2xx answer, in order: CloudEvents as dictionaries with `webhook-id`
    of their message added."""
    events = []
    for request in list(server.requests):
        document = json.loads(request.body)
        for event in document if isinstance(document, list) else [document]:
            events.append({**event, "webhook-id": request.headers["webhook-id"]})
    return events


def kinds(events, port=None):
    """[("opened", "tcp/80"), ...] of incident events."""
    prefix = "portwatch.incident."
    return [(e["type"][len(prefix):], e.get("subject")) for e in events
            if e["type"].startswith(prefix) and (port is None or e.get("subject", "").split("/")[-1] == str(port))]


def strict_mails(server):
    """The mails an Exim took, parsed by a policy that raises on any defect."""
    policy = email.policy.default.clone(raise_on_defect=True)
    return [email.message_from_bytes(raw, policy=policy) for raw in server.raw_mails()]


def mail_text(mail):
    return mail.get_body(("plain",)).get_content()


def learned_everywhere(*servers):
    """Waits for the one message that each notifier gets at first and returns nothing: what follows is about changes."""
    for server in servers:
        if hasattr(server, "raw_mails"):
            wait_until(lambda s=server: s.raw_mails(), 15, "the learned mail")
        else:
            wait_until(lambda s=server: s.requests, 15, "the learned post")
