"""Who holds a port: among very many processes, in containers' file systems, after upgrades, and where it is nobody."""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from harness import (config_text, email_section, hook_section, kinds, learned_everywhere, mail_text, posted_events, stays,
                     strict_mails, wait_until)
from test_zoo import compare, list_now

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def crowd_program(programs):
    target = programs.stage / "crowd"
    subprocess.run(["cc", "-O1", "-o", target, HERE / "crowd.c"], check=True)
    return target


@contextlib.contextmanager
def crowd(program, processes, descriptors, listeners, port):
    process = subprocess.Popen([program, str(processes), str(descriptors), str(listeners), str(port)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def owner_of(programs, port):
    rows = [e for e in list_now(programs)["endpoints"] if e["port"] == port]
    assert len(rows) == 1, rows
    return rows[0]["owner"]


@pytest.mark.slow
@pytest.mark.plain
def test_owners_agree_with_ss_among_3000_processes_with_100000_descriptors(programs, listeners, crowd_program):
    with crowd(crowd_program, 3000, 34, 100, 10000):
        listeners.start("tcp@0.0.0.0@80", "udp@::@53@v6only", name="web", uid=65534)
        listeners.start("tcp@0.0.0.0@8082", name="prefork", forks=8)
        for _ in range(4):
            listeners.start("tcp@::@8081@reuseport,dual", name="fourprocesses")
        listed = list_now(programs)
        compare(listed)
        assert len(listed["endpoints"]) == 104


@pytest.mark.slow
@pytest.mark.plain
def test_the_daemon_names_a_newcomer_among_3000_processes(programs, listeners, crowd_program, watch, hook):
    with crowd(crowd_program, 3000, 34, 50, 10000) as many:
        watch(config_text({}, hook_section(hook)))
        learned_everywhere(hook)
        listeners.start("tcp@0.0.0.0@80", name="newcomer")
        many.stdin.write("listen 9999\n")
        many.stdin.flush()
        assert many.stdout.readline() == "done\n"
        wait_until(lambda: len(kinds(posted_events(hook))) == 2, 60, "both told")
        owners = {e["subject"]: e["data"]["after"][0]["owner"] for e in posted_events(hook)
                  if e["type"].endswith("opened")}
        assert owners["tcp/80"]["exe"].endswith("/newcomer")
        assert owners["tcp/9999"]["exe"].endswith("/crowd")


def test_a_file_that_is_gone_is_told_from_one_that_was_replaced(programs, listeners, place):
    listeners.start("tcp@0.0.0.0@80", name="upgraded")
    program = place / "bin" / "upgraded"
    owner = owner_of(programs, 80)
    assert owner["exe"] == str(program) and "exe_deleted" not in owner and "exe_replaced" not in owner
    program.unlink()
    owner = owner_of(programs, 80)
    assert owner["exe"] == str(program) and owner["exe_deleted"] and "exe_replaced" not in owner
    shutil.copy(programs.holder, program)
    owner = owner_of(programs, 80)
    assert owner["exe"] == str(program) and owner["exe_replaced"] and "exe_deleted" not in owner
    text = subprocess.run([programs.cli, "list", "80"], capture_output=True, text=True).stdout
    assert "another file is at its executable's path" in text


def test_a_file_that_is_really_called_deleted_is_there(programs, listeners, place):
    listeners.start("tcp@0.0.0.0@80", name="odd (deleted)")
    owner = owner_of(programs, 80)
    assert owner["exe"].endswith("/odd (deleted)") and "exe_deleted" not in owner


def unshared(programs, script, *specs):
    process = subprocess.Popen(["unshare", "-m", "sh", "-ec", script, "sh", *specs], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env={**os.environ, "HOLDER": str(programs.holder)})
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.fixture
def inside(programs, netns):
    """inside(script, spec...): a shell in a mount namespace of its own that ends by executing a holder ("$HOLDER" "$@")."""
    started = []

    def start(script, *specs):
        started.append(unshared(programs, script, *specs))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_path_of_another_mount_namespace_is_not_looked_up_on_the_host(programs, place, inside):
    # there, and only there, is a file of that name
    (place / "there").mkdir()
    inside(f'mount -t tmpfs none {place}/there; cp "$HOLDER" {place}/there/app; exec {place}/there/app "$@"',
           "tcp@0.0.0.0@80")
    owner = owner_of(programs, 80)
    assert owner["exe"] == f"{place}/there/app"
    assert "exe_deleted" not in owner and "exe_replaced" not in owner
    # replaced there, while the host has nothing at that path
    app = inside(f'mount -t tmpfs none {place}/there; cp "$HOLDER" {place}/there/new; cp "$HOLDER" {place}/there/app; '
                 f'exec {place}/there/app "$@"', "tcp@0.0.0.0@81")
    assert "exe_replaced" not in owner_of(programs, 81)
    subprocess.run(["nsenter", "-t", str(app.pid), "-m", "mv", place / "there/new", place / "there/app"], check=True)
    owner = owner_of(programs, 81)
    assert owner["exe_replaced"] and "exe_deleted" not in owner


def package_by_dpkg(path):
    result = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
    return result.stdout.split(":")[0] if result.returncode == 0 else None


@pytest.mark.skipif(not shutil.which("dpkg"), reason="no dpkg")
def test_the_package_is_what_dpkg_says(programs, watch, hook):
    python = os.path.realpath("/usr/bin/python3")
    expected = package_by_dpkg(python)
    assert expected
    watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    server = subprocess.Popen([python, "-c", "import socket; s = socket.create_server(('0.0.0.0', 80)); print(flush=True);"
                               "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        assert owner_of(programs, 80)["package"] == expected
        text = subprocess.run([programs.cli, "list", "80"], capture_output=True, text=True).stdout
        assert re.search(rf"^  package +{re.escape(expected)}$", text, re.M)
        wait_until(lambda: ("opened", "tcp/80") in kinds(posted_events(hook)), 20, "told")
        event = [e for e in posted_events(hook) if e.get("subject") == "tcp/80"][0]
        assert event["data"]["after"][0]["owner"]["package"] == expected
    finally:
        server.kill()
        server.communicate()


@pytest.mark.skipif(not shutil.which("dpkg"), reason="no dpkg")
def test_many_programs_are_looked_up_together(watch, listeners, hook, place):
    """A look-up reads all of dpkg's lists. Whoever starts many programs at once must not keep the watch busy with them."""
    ports = range(8000, 8040)
    lists = place / "dpkg"  # which nobody else reads
    (lists / "info").mkdir(parents=True)
    for path in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
        shutil.copy(path, lists / "info")
    for name in ("status", "diversions"):
        shutil.copy(f"/var/lib/dpkg/{name}", lists)
    running = watch(config_text({}, hook_section(hook)), wrapper=[
        "unshare", "-m", "sh", "-ec", 'mount --bind "$0" /var/lib/dpkg; exec "$@"', str(lists)])
    learned_everywhere(hook)
    assert running.cli("pause", "1h").returncode == 0
    for port in ports:
        listeners.start(f"tcp@0.0.0.0@{port}", name=f"program{port}")
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(os.O_NONBLOCK)
    first = next((lists / "info").glob("*.list"))
    # open and close in turn: equal ones in a row would be one
    assert inotify >= 0 and libc.inotify_add_watch(inotify, bytes(first), 0x20 | 0x10) >= 0
    assert running.cli("resume").returncode == 0

    def told():
        return {subject for kind, subject in kinds(posted_events(hook)) if kind == "opened"}
    wait_until(lambda: {f"tcp/{port}" for port in ports} <= told(), 60)
    with os.fdopen(inotify, "rb", buffering=0) as events:
        opened = len(events.read(1 << 16) or b"") // 32  # two events of 16 bytes, which have no name
    assert 0 < opened < len(ports) / 2, running.tail()


def test_a_file_mounted_over_a_packaged_one_is_of_no_package(programs, inside, listeners):
    assert package_by_dpkg("/usr/bin/yes") == "coreutils"
    inside('mount --bind "$HOLDER" /usr/bin/yes; exec /usr/bin/yes "$@"', "tcp@0.0.0.0@80")
    owner = owner_of(programs, 80)
    assert owner["exe"] == "/usr/bin/yes"
    assert "package" not in owner
    listeners.start("tcp@0.0.0.0@81", name="own")
    assert "package" not in owner_of(programs, 81)


def sees_all_processes():
    """Whoever does not cannot tell the kernel's sockets from those of the processes he does not see."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid") == "pid:[4026531836]" and bool(os.readlink("/proc/1/fd/0"))
    return False


@pytest.mark.skipif(not sees_all_processes(), reason="some processes cannot be looked into here, PID 1 perhaps")
def test_a_socket_of_the_kernel_is_the_kernels(programs, netns, watch, hook):
    watch(config_text({"unlisted": "alert"}, hook_section(hook)))
    learned_everywhere(hook)
    made = subprocess.run("ip link add vx0 type vxlan id 5 dstport 4789 && ip link set vx0 up", shell=True,
                          capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no kernel socket to be had: {made.stderr.strip()}")
    rows = [e for e in list_now(programs)["endpoints"] if e["port"] == 4789]
    assert rows and all(e["owner"]["exe"] == "[kernel]" and e["owner"]["uid"] == 0 for e in rows), rows
    wait_until(lambda: ("opened", "udp/4789") in kinds(posted_events(hook)), 30, "told")
    event = [e for e in posted_events(hook) if e.get("subject") == "udp/4789"][0]
    assert event["data"]["after"][0]["owner"]["exe"] == "[kernel]", event["data"]["after"]


def upgrade(programs, program):
    """As dpkg does it: another file in its place, while the old program runs on."""
    new = program.with_suffix(".dpkg-new")
    new.write_bytes(programs.holder.read_bytes() + b"\0")
    new.chmod(0o755)
    new.rename(program)


def test_an_upgrade_at_the_same_path_is_no_alarm(listeners, programs, place, watch, hook):
    old = listeners.start("tcp@0.0.0.0@80", name="service")
    running = watch(config_text({"settle": "500ms", "settle_closed": "8s"}, hook_section(hook)))
    learned_everywhere(hook)
    upgrade(programs, place / "bin" / "service")
    stays(lambda: len(hook.requests) == 1, 2, "told while the old program runs")
    listeners.stop(old)
    running.look_at(listeners)
    listeners.start("tcp@0.0.0.0@80", name="service")
    wait_until(lambda: "runs from another file at the same path" in running.cli("history", "80").stdout, 30)
    stays(lambda: len(hook.requests) == 1, 2, "told after the restart")
    assert running.json("diff", status=(0,)) is not None


def test_an_upgrade_is_told_once_where_that_is_wanted(listeners, programs, place, watch, hook, mail):
    old = listeners.start("tcp@0.0.0.0@80", "tcp@0.0.0.0@81", name="service")
    sections = "[port:81/tcp]\nupgrades = log\n\n" + hook_section(hook) + email_section(mail)
    running = watch(config_text({"settle": "500ms", "settle_closed": "8s", "upgrades": "alert"}, sections))
    learned_everywhere(hook, mail)
    upgrade(programs, place / "bin" / "service")
    listeners.stop(old)
    running.look_at(listeners)
    listeners.start("tcp@0.0.0.0@80", "tcp@0.0.0.0@81", name="service")
    wait_until(lambda: kinds(posted_events(hook)), 60, running.tail)
    told = posted_events(hook)[-1]["data"]
    assert (told["change"], told["severity"], told["port"]) == ("program", "info", 80)
    wait_until(lambda: len(mail.raw_mails()) == 2, 30)
    text = re.sub(r"\s+", " ", mail_text(strict_mails(mail)[1]))
    assert "a program from another file than before" in text and "is gone" not in text, text
    wait_until(lambda: "runs from another file at the same path" in running.cli("history", "81").stdout, 30)
    stays(lambda: kinds(posted_events(hook)) == [("opened", "tcp/80")], 2, "told again")
    assert running.cli("status").returncode == 0, "nothing stays open"
