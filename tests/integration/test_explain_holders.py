"""explain names every process that holds a port: a parent, those that inherited it, and a stranger it was handed to."""

import json
import os
import re
import socket
import subprocess
import sys

from harness import config_text

PORT = 7071
# The parent, two children, and one that left the family and runs another program.
FAMILY = f"""
import os, socket, sys, time
s = socket.create_server(("127.0.0.1", {PORT}))
children = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)
    children.append(pid)
ours, theirs = os.pipe()
if os.fork() == 0:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.set_inheritable(s.fileno(), True)
        os.close(0), os.close(1)
        os.execv("/bin/sleep", ["x\\x1b[2J", "3600"])
    os.write(theirs, b"%d" % pid)
    os._exit(0)
stranger = int(os.read(ours, 20))
os.wait()
while open(f"/proc/{{stranger}}/comm").read() != "sleep\\n":
    time.sleep(0.01)
print(os.getpid(), *children, stranger, flush=True)
sys.stdin.readline()
for pid in [*children, stranger]:
    os.kill(pid, 9)
"""


def test_parent_children_and_a_stranger_are_told_apart(watch):
    running = watch(config_text())
    family = subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        parent, one, two, stranger = map(int, family.stdout.readline().split())
        case, = running.json("explain", f"{PORT}/tcp", "--cause-program", str(running.programs.cause))["protocols"]
        assert [h["pid"] for h in case["holders"]] == sorted([parent, one, two, stranger]), case["holders"]
        assert {h["pid"] for h in case["holders"] if h["ppid"] == parent} == {one, two}
        assert [h["comm"] for h in case["holders"] if h["pid"] == stranger] == ["sleep"]
        text = running.cli("explain", f"{PORT}/tcp", "--cause-program", str(running.programs.cause)).stdout
        first, second = sorted((one, two))
        assert re.search(rf" pid {parent} \(\S+\), inherited by {first} \(\S+\), {second} \(\S+\)$", text, re.M), text
        assert re.search(rf" pid {stranger} \(sleep\)$", text, re.M), text
    finally:
        family.communicate("\n")


def test_who_may_not_look_into_processes_is_told_so(watch, listeners):
    running = watch(config_text())
    listeners.start(f"tcp@127.0.0.1@{PORT}", name="web")
    result = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all",
                             running.programs.cli, "explain", f"{PORT}/tcp", "--json"], capture_output=True, text=True)
    case, = json.loads(result.stdout)["protocols"]
    assert case["holders"] == [] and not case["holders_complete"], case


def test_one_holder_needs_no_line_of_its_own(watch, listeners):
    running = watch(config_text())
    with socket.create_server(("127.0.0.1", PORT)):
        case, = running.json("explain", f"{PORT}/tcp", "--cause-program", str(running.programs.cause))["protocols"]
        assert [h["pid"] for h in case["holders"]] == [os.getpid()], case["holders"]
        assert not re.search(r"^ *holders ", running.cli("explain", f"{PORT}/tcp").stdout, re.M)
