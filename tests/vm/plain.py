"""Without systemd, in a container or a chroot: portwatchd in the foreground, as PID 1 and not, as root and as nobody much."""

import contextlib
import os
import re
import signal
import subprocess

import world
from facts import Portwatch
from guest import Root, wait
from report import Checks, note

STATE, CONF = "/var/lib/plain", "/etc/plain.conf"
CONFIG = """\
[portwatch]
interval = 250ms
settle = 1s
settle_closed = 2s
boot_grace = 0s

[notifier:admin]
"""


class Running:
    """portwatchd in the foreground, its standard error in a file. pid: how this machine sees it."""

    def __init__(self, root, command, new_pids):
        self.log_path = root.path("/var/log/plain.log")
        lead = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-c",
                f'mount -t proc proc {root.inner("/proc")} && exec chroot {root.inner("/")} "$@"', "sh"] if new_pids else [
                    "chroot", root.inner("/")]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*root.enter(), *lead, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)
        self.new_pids, self.root = new_pids, root

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern):
        def there():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
            return re.search(pattern, self.log(), re.M)
        return wait(lambda: f"{pattern!r} on standard error:\n{self.log()[-2000:]}", there, 60)

    def pid(self):
        """Of portwatchd itself: unshare stays before a PID 1."""
        if not self.new_pids:
            return self.process.pid
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return int(children.read().split()[0])

    def stop(self):
        os.kill(self.pid(), signal.SIGTERM)
        status = self.process.wait(60)
        assert status == 0, f"ended with {status} on SIGTERM:\n{self.log()[-2000:]}"

    def end(self):
        if self.process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                os.kill(self.pid(), signal.SIGKILL)
            self.process.kill()
        self.process.wait()


# name: (its command's start, new pid namespace, user of the process, what its mails do not see)
SETPRIV = ["setpriv", "--reuid=portwatch", "--regid=portwatch", "--init-groups", "--inh-caps=-all", "--bounding-set=-all",
           "--no-new-privs"]
# of processes of the same number in other guests some may be seen: else it is "perhaps"
NO_MORE = "no CAP_SYS_PTRACE: there may be more"
WAYS = {
    "as PID 1 of a container": ([], True, "root", r"the owners? of \d+ sockets? \(in a pid namespace of its own: owners "
                                                  r"outside of it cannot be seen\)"),
    # this machine's
    "as root in a chroot": ([], False, "root", r"\d+ other network namespaces?"),
    "as user portwatch without capabilities": (
        SETPRIV, False, "portwatch", r"the owners? of \d+ sockets? \(no CAP_SYS_PTRACE and no CAP_DAC_READ_SEARCH: owners of "
        rf"other users' sockets cannot be seen\); (?:perhaps|\d+) other network namespaces? \({NO_MORE}\)"),
}


def live(root, checks, way, start, new_pids, user, unseen):
    pw = Portwatch(root)
    before = len(pw.box.mails())
    root.must("rm", "-rf", STATE)
    root.must("install", "-d", "-o", user, "-g", "portwatch", "-m", "0750", STATE)
    daemon = Running(root, [*start, "portwatchd", "--config", CONF, "--state-dir", STATE], new_pids)
    listener = None
    try:
        with checks(f"{way}: it runs in the foreground and logs to standard error"):
            daemon.wait_log(r"^portwatchd: watching every port")
            status = open(f"/proc/{daemon.pid()}/status").read()
            assert not new_pids or re.search(r"^NSpid:.*\t1$", status, re.M), status
        with checks(f"{way}: it learns, and the learned message arrives"):
            daemon.wait_log(r"^portwatchd: learned what listens: \d+ endpoint")
            wait(lambda: f"a mail: {daemon.log()}", lambda: len(pw.box.mails()) > before, 60)
            assert re.search(r"watching 1 port on gate\.example\.net$", pw.box.mails()[before].subject), pw.box.subjects()
        with checks(f"{way}: what opens is a mail"):
            inside = root.inside()
            if new_pids:  # what a container's other processes are
                inside = ["nsenter", "-t", str(daemon.pid()), "--mount", "--pid", "--net", *inside[len(root.enter()):]]
            listener = subprocess.Popen([*inside, "setpriv", "--reuid=shop", "--clear-groups", "/usr/sbin/shopd", "0.0.0.0",
                                         "8080"], stdin=subprocess.DEVNULL, start_new_session=True)
            wait(lambda: f"a mail: {daemon.log()}", lambda: len(pw.box.mails()) > before + 1, 60)
            mail = pw.box.mails()[before + 1]
            named = r"shopd \(user shop\)" if user == "root" else r"unknown owner"
            assert re.search(rf"WARNING 8080/tcp opened on all IPv4 addresses: {named}$", mail.subject), mail.subject
        with checks(f"{way}: portwatch status says what it could not see"):
            result = root.run("portwatch", "--config", CONF, "--state-dir", STATE, "status")
            first, more = re.search(r"^not seen +(\S.*)\n((?: {13,}\S.*\n)*)", result.stdout, re.M).groups()
            said = "; ".join([first, *(line.strip() for line in more.splitlines())])
            assert result.returncode == 1 and re.fullmatch(unseen, said), result.stdout
        with checks(f"{way}: it stops cleanly on SIGTERM"):
            daemon.stop()
        for number, mail in enumerate(pw.box.mails()[before:], 1):
            with checks(f"{way}: mail {number}, line by line"):
                mail.examine(unseen)
    finally:
        daemon.end()
        if listener:
            listener.kill()
            listener.wait()


def run(tree, packages, props, higher):
    package = []

    def prepare(root):
        world.put_name(root)
        world.put_mail(root, props)
        world.put_services(root, props)
        package.append(world.put_package(root, packages))

    with Root("plain", tree, prepare) as root:
        checks = Checks(on_failure=lambda: note(root.path("/var/log/plain.log").read_text(errors="replace")[-4000:]))
        with checks("apt installs the package where systemd does not run"):
            root.must("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", package[0])
        root.write("/etc/plain.password", world.PASSWORD + "\n")
        keys = world.mail_keys(server="smtp://127.0.0.1:587", password_file="/etc/plain.password")
        del keys["credential"]
        root.write(CONF, CONFIG + "".join(f"{key} = {value}\n" for key, value in keys.items()))
        exim = subprocess.Popen([*root.inside(), "exim4", "-bdf"], stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            wait("exim", lambda: "127.0.0.1:587" in root.run("portwatch", "list").stdout, 30)
            for way, (start, new_pids, user, unseen) in WAYS.items():
                live(root, checks, way, start, new_pids, user, unseen)
        finally:
            exim.kill()
            exim.wait()
