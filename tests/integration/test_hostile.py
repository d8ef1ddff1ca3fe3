"""Names belong to attackers: comm, argv and the path of the executable, in every place where they are shown."""

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import termios

import pytest

from harness import (config_text, email_section, hook_section, learned_everywhere, mail_text, posted_events,
                     strict_mails, wait_until)

NAME = 'x\r\nBcc: a@b\x1b[2J"</script>'
# beside C0: an 8-bit CSI, a right-to-left override, a line separator, and bytes that are no UTF-8
WORSE = b'\xc2\x9b2J\xe2\x80\xaegnp.exe\xe2\x80\xa8\xff\xfe %s%n\'$(id)`id`\\'
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(params=["issue", "worse"])
def hostile(request, listeners, place):
    """Starts a listener on a port that calls itself so everywhere; the / of </script> makes a folder."""
    name = NAME.encode() if request.param == "issue" else WORSE
    path = os.fsencode(place / "bin") + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)

    def start(port):
        import shutil
        if not os.path.exists(path):
            shutil.copy(os.fsencode(listeners._holder), path)
        process = subprocess.Popen([name, b"-c", name[:15], f"tcp@0.0.0.0@{port}".encode()], executable=path,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        listeners._processes.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    return start


def harmless(text):
    found = CONTROLS.search(text.replace("\r\n", "\n"))
    assert not found, repr(text[max(0, found.start() - 60) : found.end() + 20])


def on_terminal(command):
    """Runs it on a pseudo terminal and returns what it wrote."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x32\0\xff\0\0\0\0\0")
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    data = b""
    while True:
        select.select([master], [], [], 30)
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        data += part
    process.wait()
    os.close(master)
    return data.decode(errors="replace")


def test_a_hostile_name_is_escaped_in_the_mail(watch, mail, hostile):
    watch(config_text({}, email_section(mail)))
    learned_everywhere(mail)
    hostile(8080)
    wait_until(lambda: len(mail.raw_mails()) == 2, 15)
    raw = mail.raw_mails()[1]
    told = strict_mails(mail)[1]
    head = raw.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    assert not re.search(rb"^bcc", head, re.I | re.M)
    assert told["Bcc"] is None and told["To"].addresses[0].addr_spec == "ops@localhost"
    # in ours, every continuation of a header begins with a blank
    for line in head.split(b"\n"):
        assert re.match(rb"[!-9;-~]+:|[ \t]", line), line
    for name, value in told.items():
        if name != "Received":  # the server's
            harmless(str(value))
    assert "8080/tcp" in told["Subject"]
    harmless(mail_text(told))
    assert [part.get_content_type() for part in told.walk()].count("text/html") == 0
    assert b"\x1b" not in raw


def test_a_hostile_name_is_escaped_in_the_post(watch, hook, hostile):
    watch(config_text({}, hook_section(hook, secret=hook.secret, detail="full")))
    learned_everywhere(hook)
    hostile(8080)
    wait_until(lambda: len(hook.requests) == 2, 15)
    body = hook.requests[1].body
    body.decode("utf-8")
    assert not CONTROLS.search(body.decode("utf-8"))
    event = posted_events(hook)[-1]

    def walk(value):
        if isinstance(value, dict):
            for key, item in value.items():
                harmless(key)
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str) and "\n" not in value:
            harmless(value)

    walk(event)
    for name, value in hook.requests[1].headers.items():
        harmless(name + value)


@pytest.mark.parametrize("arguments", [("list",), ("diff",), ("status",), ("history",), ("baseline", "show")],
                         ids=lambda a: " ".join(a))
def test_a_hostile_name_is_escaped_on_a_terminal_and_in_json(watch, hostile, arguments):
    hostile(79)  # learned, and so in the baseline
    running = watch(config_text())
    hostile(8080)
    running.wait_log(r"8080/tcp")
    plain = running.cli(*arguments)
    harmless(plain.stdout + plain.stderr)
    drawn = on_terminal([str(running.programs.cli), "--config", str(running.config), "--state-dir",
                         str(running.state), *arguments])
    # our own colours are the only sequences
    harmless(re.sub(r"\x1b\[[0-9;]*m", "", drawn))
    made = running.cli(*arguments, "--json")
    json.loads(made.stdout.splitlines()[0] if arguments == ("history",) else made.stdout)
    assert not CONTROLS.search(made.stdout.replace("\n", " "))


def test_a_hostile_name_is_escaped_in_the_log(watch, hostile):
    running = watch(config_text())
    hostile(8080)
    running.wait_log(r"8080/tcp")
    running.stop()
    harmless(running.log())
    # nothing of a name begins a line of its own
    assert not re.search(r"^Bcc", running.log(), re.M)


def test_a_hostile_process_name_does_not_hide_its_socket(programs, hostile):
    hostile(8080)
    result = subprocess.run([programs.cli, "list", "8080", "--json"], capture_output=True, text=True)
    endpoint, = json.loads(result.stdout)["endpoints"]
    assert endpoint["owner"]["pid"] and endpoint["owner"]["exe"]
