"""A whole machine under qemu, with Debian's own kernel and a memory controller. Emulated (no KVM is asked of whoever runs
the tests), so it is slow: what can be done to its disk before the boot is done there. A root shell on its second serial port
takes commands."""

import base64
import contextlib
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading

import world
from facts import Portwatch
from guest import ENVIRONMENT, Root, wait
from mail import Mail, Mailbox, accepted

LIMIT = 900  # seconds after which it is switched off, whatever it is doing
BOOT_WAIT = 480
ANSWER_WAIT = 120
SIZE = "900M"
AGENT = "/usr/local/sbin/agent"
# Each line is a number and a command; each answer the number, the status, and what it wrote.
AGENT_TEXT = """#!/bin/sh
stty raw -echo
echo ready
while read -r number command; do
    printf '%s' "$command" | base64 -d >/run/agent.command
    sh /run/agent.command </dev/null >/run/agent.out 2>/run/agent.err
    echo "$number $? $(base64 -w0 /run/agent.out) $(base64 -w0 /run/agent.err) end"
done
"""
UNIT = f"""[Service]
ExecStart={AGENT}
StandardInput=tty
StandardOutput=tty
StandardError=journal
TTYPath=/dev/ttyS1
IgnoreSIGPIPE=no
Environment={" ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())}

[Install]
WantedBy=multi-user.target
"""
KERNEL_LINE = "console=ttyS0 root=/dev/nvme0n1 rw init=/lib/systemd/systemd panic=-1 loglevel=4 mitigations=off " \
              "systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service systemd.mask=serial-getty@ttyS1.service"


def put_agent(root):
    path = pathlib.Path(f"{root}{AGENT}")
    path.write_text(AGENT_TEXT)
    path.chmod(0o755)
    (root / "etc/systemd/system/agent.service").write_text(UNIT)
    subprocess.run(["systemctl", f"--root={root}", "--quiet", "enable", "agent.service"], check=True)


class Machine:
    """Use as a context manager. prepare(root: Root) works in a copy of the tree, which becomes the disk."""

    def __init__(self, name, tree, put, prepare):
        self._name, self._tree, self._put, self._prepare = name, tree, put, prepare
        self._work, self._qemu, self._line, self._received, self._number = None, None, None, b"", 0

    def __enter__(self):
        self._work = pathlib.Path(tempfile.mkdtemp(prefix=f"portwatch-vm-{self._name}-"))
        try:
            self._make_disk()
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _make_disk(self):
        def put(root):
            put_agent(root)
            self._put(root)

        with Root(self._name, self._tree, put) as root:
            self._prepare(root)
            for mounted in ("/proc", "/dev"):
                root.outside("umount", "--recursive", "--lazy", root.inner(mounted))
            root.outside("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1", "-d",
                         root.inner("/"), self._work / "disk", SIZE)
        shutil.copy(self._tree / "boot/vmlinuz", self._work / "vmlinuz")

    def _boot(self):
        serial = self._work / "serial"
        with open(self._work / "qemu", "wb") as log:
            self._qemu = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "-10", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max",
                 # its clock counts instructions while it computes: however slow we are, its deadlines do not notice
                 "-icount", "shift=0,sleep=on", "-M", "q35", "-m", "768", "-no-reboot", "-nodefaults", "-no-user-config",
                 "-display", "none", "-kernel", self._work / "vmlinuz", "-append", KERNEL_LINE,
                 "-drive", f"file={self._work / 'disk'},if=none,id=disk,format=raw,cache=unsafe",
                 "-device", "nvme,drive=disk,serial=disk", "-serial", f"file:{self._work / 'console'}",
                 "-chardev", f"socket,id=agent,path={serial},server=on,wait=off", "-serial", "chardev:agent"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        with contextlib.suppress(OSError):  # where sessions compete, and not processes, nice says nothing
            pathlib.Path(f"/proc/{self._qemu.pid}/autogroup").write_text("-10")
        timer = threading.Timer(LIMIT, self._qemu.kill)
        timer.daemon = True
        timer.start()
        wait(lambda: f"qemu's serial port:\n{self.console()}", lambda: serial.exists() or self._ended(), 30)
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(serial))
        self._read_until(b"ready\n", BOOT_WAIT)

    def _ended(self):
        if self._qemu.poll() is not None:
            raise RuntimeError(f"qemu ended with {self._qemu.returncode}:\n{self.console()}")

    def _read_until(self, end, timeout):
        """What comes on the line up to and with that."""
        self._line.settimeout(1)

        def come():
            self._ended()
            with contextlib.suppress(socket.timeout):
                self._received += self._line.recv(65536)
            return end in self._received

        wait(lambda: f"{end} from the machine; it says {self._received[-300:]}:\n{self.console()}", come, timeout, step=0)
        answer, _, self._received = self._received.partition(end)
        return answer

    def run(self, *command, timeout=ANSWER_WAIT):
        """Runs a command inside, as root; CompletedProcess with text."""
        self._number += 1
        coded = base64.b64encode(shlex.join(map(str, command)).encode()).decode()
        self._line.settimeout(30)
        self._line.sendall(f"{self._number} {coded}\n".encode())
        fields = self._read_until(b" end\n", timeout).decode().split(" ")
        number, status, out, err = fields
        assert int(number) == self._number, f"answer {number} to command {self._number}"
        out, err = (base64.b64decode(text).decode(errors="replace") for text in (out, err))
        return subprocess.CompletedProcess(command, int(status), out, err)

    def must(self, *command, **more):
        """The output of a command that has to succeed."""
        result = self.run(*command, **more)
        assert result.returncode == 0, (f"{shlex.join(map(str, command))}: status {result.returncode}\n"
                                        f"{result.stdout}{result.stderr}")
        return result.stdout

    def journal(self, *arguments):
        return self.run("journalctl", "--no-pager", "-o", "short-precise", *arguments).stdout

    def property(self, unit, name):
        return self.must("systemctl", "show", "--property", name, "--value", unit).strip()

    def console(self):
        return "".join(f"{path.name}: {path.read_text(errors='replace')[-3000:]}\n"
                       for path in (self._work / "qemu", self._work / "console") if path.exists())

    def close(self):
        """Switches it off: its state is not wanted any more."""
        if self._line:
            self._line.close()
        if self._qemu:
            self._qemu.kill()
            self._qemu.wait()
        shutil.rmtree(self._work, ignore_errors=True)


class RemoteBox(Mailbox):
    """The mailbox of a machine whose files cannot be reached from here."""

    def mails(self):
        names = self._guest.must("sh", "-c", f"ls {world.MAILBOX}/new 2>/dev/null || true").split()
        for name in names:
            if name not in self._known:
                coded = self._guest.must("base64", "-w0", f"{world.MAILBOX}/new/{name}")
                self._known[name] = Mail(base64.b64decode(coded))
        return sorted(self._known.values(), key=accepted)


class RemotePortwatch(Portwatch):
    def __init__(self, machine):
        super().__init__(machine)
        self.box = RemoteBox(machine)
