"""A Debian on an overlay of the tree: something to chroot into, or booted by systemd-nspawn. Driven from outside: its
namespaces are entered for each command, its files are read where they are. Whatever happens, nothing of it stays behind.

What nspawn wants where PID 1 of the host is no systemd: a cgroup made for it in each hierarchy it looks at, a /run that is
a tmpfs, no registration, and no filter of its own before the guest's services' filters (it would refuse bpf and
open_by_handle_at)."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import world

BOOT_WAIT = 180
REBOOT = 133  # nspawn's status where the guest asked for a reboot
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "TERM": "dumb", "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}

# Everything lives in a mount namespace, and goes with it.
HOLD = """set -e
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/root"
mount -t tmpfs -o mode=0755 tmpfs /run
echo up
exec sleep infinity"""


class Timeout(AssertionError):
    """What was waited for did not come."""


class Patience:
    """Multiplies every deadline: whoever has seen a check fail waits less for the next, which may need what failed."""
    factor = 1.0


def wait(what, condition, timeout=90, step=0.1):
    """Polls until condition() is true and returns its value. what: text, or a function that makes it at the end."""
    timeout *= Patience.factor
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Timeout(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(step)


def cgroup_roots():
    """Where nspawn looks for cgroups: the version 2 hierarchy, and systemd's own of version 1."""
    for line in open("/proc/self/mounts"):
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            yield pathlib.Path(place)


def descendants(pid):
    for task in list_dir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield int(child)
                yield from descendants(int(child))


def list_dir(path):
    with contextlib.suppress(OSError):
        return os.listdir(path)
    return []


def is_first(pid):
    """Is this PID 1 of a namespace, and past nspawn's own code?"""
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        names = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        return len(names) > 1 and names[-1] == "1" and os.readlink(f"/proc/{pid}/exe").endswith("/systemd")
    return False


class Root:
    """A writable copy of the tree in a mount and network namespace of its own: something to chroot into. Use as a context
    manager. prepare(root) puts files there first."""

    def __init__(self, name, tree, prepare):
        self.name, self._tree, self._prepare, self._holder = name, tree, prepare, None

    def __enter__(self):
        self._work = pathlib.Path(tempfile.mkdtemp(prefix=f"portwatch-vm-{self.name}-"))
        try:
            self._hold()
            self._prepare(self.path("/"))
            self.begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _hold(self):
        (self._work / "m").mkdir()
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--uts", "--net", "--propagation", "private", "sh", "-c",
             HOLD, "sh", self._work / "m", self._tree], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            start_new_session=True)
        if self._holder.stdout.readline() != b"up\n":
            raise RuntimeError("no overlay for the guest")

    def begin(self):
        """The network a process finds outside of any guest, and Debian's idea of /proc and /dev."""
        self.outside("sh", "-c", f"ip link set lo up && hostname {world.HOST.split('.')[0]}"
                                 f" && mount -t proc proc {self.inner('/proc')} && mount --rbind /dev {self.inner('/dev')}")

    def inner(self, name):
        """The path of a file of the copy for outside()."""
        return f"{self._work}/m/root{name}"

    def path(self, name):
        """A file of the copy, to be opened here. It stays while a guest reboots."""
        return pathlib.Path(f"/proc/{self._holder.pid}/root{self.inner(name)}")

    def enter(self):
        """The command that leads into the namespaces."""
        return ["nsenter", "-t", str(self._holder.pid), "--mount", "--uts", "--net"]

    def outside(self, *command):
        """The output of one of this machine's programs that sees the copy's files: for those who cannot take path()."""
        return subprocess.run([*self.enter(), *map(str, command)], check=True, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60).stdout

    def inside(self):
        """The command that leads into the copy."""
        return [*self.enter(), "chroot", self.inner("/")]

    def run(self, *command, timeout=120):
        """Runs a command inside, as root; CompletedProcess with text."""
        return subprocess.run([*self.inside(), *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=timeout, env=ENVIRONMENT, start_new_session=True)

    def must(self, *command, **more):
        """The output of a command that has to succeed."""
        result = self.run(*command, **more)
        assert result.returncode == 0, f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def close(self):
        if self._holder:
            self._holder.kill()
            self._holder.wait()
        shutil.rmtree(self._work, ignore_errors=True)


class Guest(Root):
    """Debian booted there. prepare(root) puts files into it before its first boot."""

    def __init__(self, name, tree, prepare):
        super().__init__(name, tree, prepare)
        self._nspawn, self.pid, self._cgroups = None, None, []

    def begin(self):
        for root in cgroup_roots():
            group = root / self._work.name
            group.mkdir()
            self._cgroups.append(group)
        self.boot()

    def boot(self):
        # leads into the mount namespace and the cgroups, then becomes nspawn
        enter = "".join(f"echo $$ > {group}/cgroup.procs\n" for group in self._cgroups) + 'exec "$@"'
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_SECCOMP": "0"}
        with open(self._work / "console", "ab") as console:
            self._nspawn = subprocess.Popen(
                # before whatever else this machine is busy with: the guest has deadlines
                ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "-10", *self.enter(), "sh", "-c", enter, "sh",
                 "systemd-nspawn", "--quiet", f"--directory={self.inner('')}", "--boot",
                 f"--machine=portwatch-{self.name}-{os.getpid()}", "--register=no", "--keep-unit", "--private-network",
                 # modules are the host's business, and the guest has none
                 "--capability=all", "--drop-capability=CAP_SYS_MODULE", "--console=read-only",
                 "--kill-signal=SIGRTMIN+4", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
                 "systemd.show_status=0"],
                env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        self.pid = wait(lambda: f"PID 1 of the guest:\n{self.console()}", self._find, BOOT_WAIT)
        wait(lambda: f"the end of the boot:\n{self.console()}\n{self.journal()}",
             lambda: self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), BOOT_WAIT)

    def _find(self):
        if self._nspawn.poll() is not None:
            raise RuntimeError(f"nspawn ended with {self._nspawn.returncode}:\n{self.console()}")
        return next((pid for pid in descendants(self._nspawn.pid) if is_first(pid)), None)

    def console(self):
        return (self._work / "console").read_text(errors="replace")[-3000:]

    def inside(self):
        return ["nsenter", "-t", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wdns=/"]

    def journal(self, *arguments):
        return self.run("journalctl", "--no-pager", "-o", "short-precise", *arguments).stdout

    def property(self, unit, name):
        return self.must("systemctl", "show", "--property", name, "--value", unit).strip()

    def booted(self):
        """When PID 1 began, as seconds of the epoch."""
        ticks = int(pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")

    def reboot(self):
        self.must("systemctl", "reboot")
        status = self._nspawn.wait(BOOT_WAIT)
        assert status == REBOOT, f"nspawn ended with {status} instead of asking for a reboot:\n{self.console()}"
        self.boot()

    def close(self):
        """Ends the guest at once: its state is not wanted any more."""
        if self._nspawn:
            if self.pid and self._nspawn.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(10 if self.pid else 0)
            self._nspawn.kill()
            self._nspawn.wait()
        for group in self._cgroups:
            remove_cgroup(group)
        super().close()


def remove_cgroup(group):
    """Ends what is left in it, which is the guest's, and removes it once it is empty."""
    end = time.monotonic() + 10
    while group.exists() and time.monotonic() < end:
        for directory, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                for pid in pathlib.Path(directory, "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                os.rmdir(directory)
        time.sleep(0.05)
