"""What stands in the journal: read back from a real systemd-journald, with a catalog that its own tools have built."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import ROOT, config_text, hook_section, learned_everywhere, wait_until

JOURNALD = pathlib.Path("/lib/systemd/systemd-journald")
IDS = dict(re.findall(r'^\s+X\((\w+), "(\w+)"', (ROOT / "src/daemon/messages.h").read_text(), re.M))
# A journald of its own: /run, /etc and /var/log are not the machine's.
PREPARE = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/up /run/work /run/systemd/journal /run/log/journal
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/work /etc
echo 0123456789abcdef0123456789abcdef >/run/machine-id
mv /run/machine-id /etc/machine-id
rm -rf /etc/systemd/journald.conf.d
mkdir -p /etc/systemd
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nForwardToSyslog=no\\n' >/etc/systemd/journald.conf
mount -t tmpfs tmpfs /var/log
exec "$0"
"""


class Journal:
    def __init__(self, root):
        self.root = root
        catalog = root / "usr/lib/systemd/catalog"
        catalog.mkdir(parents=True)
        (root / "var/lib/systemd/catalog").mkdir(parents=True)
        shutil.copy(ROOT / "systemd/portwatch.catalog", catalog)
        subprocess.run(["journalctl", f"--root={root}", "--update-catalog"], check=True)
        self.log = open(root / "journald.log", "wb")
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", PREPARE, JOURNALD],
                                        stdout=self.log, stderr=self.log)
        self.enter = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--"]
        # /run is the namespace's own once its journald has bound its socket there
        socket = pathlib.Path(f"/proc/{self.process.pid}/root/run/systemd/journal/socket")
        wait_until(lambda: self.process.poll() is not None or self.is_apart() and socket.exists(), 20, "systemd-journald")
        assert self.process.poll() is None, (root / "journald.log").read_text()

    def is_apart(self):
        return pathlib.Path(f"/proc/{self.process.pid}/comm").read_text().startswith("systemd-journal")

    def journalctl(self, *arguments):
        return subprocess.run([*self.enter, "journalctl", "--no-pager", "-D", "/run/log/journal", *arguments],
                              capture_output=True, text=True, check=True).stdout

    def entries(self, name=None):
        """What portwatchd wrote, of one class or all, in order."""
        where = [f"MESSAGE_ID={IDS[name]}"] if name else []
        lines = self.journalctl("-o", "json", "SYSLOG_IDENTIFIER=portwatchd", *where).splitlines()
        return [json.loads(line) for line in lines]

    def wait(self, name):
        wait_until(lambda: self.entries(name), 15, lambda: f"{name} in {[e['MESSAGE'] for e in self.entries()]}")
        return self.entries(name)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


@pytest.fixture
def journal(place):
    if not JOURNALD.exists() or not shutil.which("journalctl"):
        pytest.skip("systemd is not installed here")
    made = Journal(place / "journal")
    yield made
    made.stop()


@pytest.fixture
def logged(journal, watch, place):
    """logged(config) -> a portwatchd whose stderr is, as far as it can see, the journal's stream."""

    def start(config):
        running = watch(config, started=False, wrapper=journal.enter)
        running.log_file.touch()
        stat = running.log_file.stat()
        running.env["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
        return running.start()

    return start


def test_an_incident_can_be_asked_for_by_its_fields(journal, logged, listeners):
    running = logged(config_text())
    journal.wait("LEARNED")
    listeners.start("tcp@0.0.0.0@8080", name="web")
    opened, = journal.wait("OPENED")
    token = running.json("status")["incidents"][0]["incident"]
    assert opened["PORTWATCH_PORT"] == "8080/tcp"
    assert opened["PORTWATCH_INCIDENT"] == token
    assert opened["PORTWATCH_SEVERITY"] == "warning" and opened["PRIORITY"] == "4"
    # the rows are part of the message, so they are found with it
    assert re.search(r"(?m)^  \+ tcp 0\.0\.0\.0:8080 \S*/web", opened["MESSAGE"]), opened["MESSAGE"]
    assert running.cli("accept", token, "--reason", "as it should be").returncode == 0
    resolved, = journal.wait("RESOLVED")
    assert (resolved["PORTWATCH_INCIDENT"], resolved["PORTWATCH_PORT"]) == (token, "8080/tcp")
    assert "as it should be" in journal.wait("DECIDED")[0]["MESSAGE"]


def test_a_change_that_nobody_is_told_shows_its_rows(journal, logged, listeners):
    logged(config_text())
    journal.wait("LEARNED")
    listeners.start("tcp@127.0.0.1@8080", name="web")
    untold, = journal.wait("UNTOLD")
    assert untold["PORTWATCH_PORT"] == "8080/tcp"
    assert re.search(r"(?m)^  \+ tcp 127\.0\.0\.1:8080 \S*/web", untold["MESSAGE"]), untold["MESSAGE"]


def test_every_message_is_explained(journal, logged, listeners, hook):
    """journalctl -x: an explanation each, whose fields are filled in."""
    bad = hook_section("http://127.0.0.1:1/", "nobody")
    running = logged(config_text({}, hook_section(hook) + bad))
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080", name="web")
    journal.wait("OPENED")
    failing, = journal.wait("NOTIFIER_FAILING")
    assert failing["PORTWATCH_NOTIFIER"] == "nobody"
    good = running.config.read_text()
    running.configure("[portwatch]\nsettel = 1s\n")
    running.reload()
    refused, = journal.wait("RELOAD_REFUSED")
    assert re.search(r"(?m)^  .*portwatch\.conf:2: .*settel", refused["MESSAGE"]), refused["MESSAGE"]
    running.configure(good)
    running.reload()
    journal.wait("RELOADED")
    running.stop()
    journal.wait("STOPPING")
    entries = journal.entries()
    assert all(entry.get("MESSAGE_ID") in IDS.values() for entry in entries), entries
    # with the catalog of this checkout, not with the one that is installed here
    subprocess.run([*journal.enter, "sh", "-c", f"mount --bind {journal.root}/var/lib/systemd/catalog /var/lib/systemd/catalog"],
                   check=True)
    text = journal.journalctl("-x", "SYSLOG_IDENTIFIER=portwatchd")
    assert text.count("Defined-By: portwatch") == len(entries), text
    assert not re.search(r"@|PORTWATCH_", text), text
    assert "8080/tcp is not as expected" in text and "Notifier nobody gets nothing through" in text


def test_a_hostile_name_is_shown_and_begins_no_line(journal, logged, listeners):
    logged(config_text())
    journal.wait("LEARNED")
    listeners.start("tcp@0.0.0.0@8080", name="e\x1b[2J\n- tcp 0.0.0.0:22\u009b \udcff", comm="x\nMESSAGE_ID=1")
    opened, = journal.wait("OPENED")
    # journalctl gives what it will not print as a list of bytes
    assert all(isinstance(value, str) for value in opened.values()), opened
    assert opened["MESSAGE_ID"] == IDS["OPENED"]
    assert len(opened["MESSAGE"].splitlines()) == 2 and "\\x1b" in opened["MESSAGE"], opened["MESSAGE"]
