"""A portwatch-cause in a guest, asked as the daemon asks it."""

import array
import contextlib
import fcntl
import json
import os
import pathlib
import socket
import subprocess

PROGRAM = "/usr/libexec/portwatch/portwatch-cause"
UNKNOWN, GONE, ALIVE = range(3)


class Asker:
    """A portwatch-cause in the guest, and the socket to it."""

    def __init__(self, guest, *become):
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        high = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 10)
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *guest.inside(), *become, PROGRAM], stdin=subprocess.DEVNULL, pass_fds=(3,),
            preexec_fn=lambda: os.dup2(high, 3), start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
        os.close(high)
        theirs.close()
        self._ours.settimeout(30)
        self._id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ours.close()
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError("portwatch-cause does not end with its socket") from None
        assert status == 0, f"portwatch-cause ended with {status}"

    def provoke(self, datagram):
        """Sends that; the status it ends with."""
        self._ours.send(datagram)
        return self._process.wait(30)

    def ask(self, unit, user=-1, invocation="", pid=0, since=0.0, started=0.0, process=UNKNOWN, pidfd=None):
        """(fate, cause). Times in seconds."""
        self._id += 1
        question = {"id": self._id, "unit": unit, "user": user, "invocation": invocation, "pid": pid, "open": False,
                    "started": int(started * 1e6), "since": int(since * 1e6), "process": process}
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pidfd]))] if pidfd is not None else []
        self._ours.sendmsg([json.dumps(question).encode()], rights)
        answer = {"final": False}
        while not answer["final"]:  # one without the journal comes first
            answer = json.loads(self._ours.recv(1 << 16))
            assert answer["id"] == self._id, answer
        return answer["fate"], answer["cause"]


@contextlib.contextmanager
def watched(guest, pid):
    """A descriptor for a process of the guest."""
    space = os.stat(f"/proc/{guest.pid}/ns/pid").st_ino
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, StopIteration):
            if not entry.isdigit() or os.stat(f"/proc/{entry}/ns/pid").st_ino != space:
                continue
            status = pathlib.Path(f"/proc/{entry}/status").read_text()
            names = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
            if int(names[-1]) == pid:
                break
    else:
        raise AssertionError(f"no process {pid} in the guest")
    pidfd = os.pidfd_open(int(entry))
    try:
        yield pidfd
    finally:
        os.close(pidfd)
