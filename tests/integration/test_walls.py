"""The hostile plugin under the daemon itself, whose uid the child shares where the daemon is no root."""

import os
import pwd
import re
import shutil
import subprocess

import pytest

from harness import config_text, wait_until


def portwatch_user():
    try:
        return pwd.getpwnam("portwatch")
    except KeyError:
        return pwd.getpwnam("nobody")


def drop(*capabilities):
    user, plus = portwatch_user(), "".join(f",+{name}" for name in capabilities)
    return ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups", "--no-new-privs",
            "--inh-caps", "-all" + plus, "--ambient-caps", "-all" + plus, "--bounding-set", "-all" + plus]


# as packaging/install.sh and the unit start it, and as a container may
STARTS = {"root": [], "unit": drop("dac_read_search", "sys_ptrace"), "no capabilities": drop()}


@pytest.mark.parametrize("start", STARTS)
def test_a_hostile_plugin_finds_every_door_of_the_daemon_shut(programs, place, watch, hostile_alone, start):
    wrapper, user = STARTS[start], portwatch_user()
    if wrapper and subprocess.run([*wrapper, "true"], capture_output=True).returncode != 0:
        pytest.skip("these capabilities cannot be had here")
    secret = place / "secret"
    secret.write_text("x")
    secret.chmod(0o400)
    os.chown(secret, user.pw_uid, user.pw_gid)
    directory = place / "watch0"
    state = directory / "state"
    settings = f"secret_path = {secret}\ndatabase = {state}/portwatch.db\nprobe = {state}\n"
    one = watch(config_text(sections=f"[notifier:x]\nplugin = hostile\n{settings}group_wait = 0s\n"), started=False,
                wrapper=wrapper)
    state.mkdir(mode=0o750)
    for path in (directory, state, one.config):
        os.chown(path, user.pw_uid if wrapper else 0, user.pw_gid if wrapper else 0)
    one.log_file.touch()
    one.start(ready=False)  # READY=1 goes to a socket of root
    one.wait_log("doors as uid", timeout=20)
    if re.search("landlock|seccomp", one.log()):
        pytest.skip("this kernel lacks walls")
    tried, uid, found = re.search(r"tried (\d+) doors as uid (\d+), open: (.*)", one.log()).groups()
    assert found.startswith("none") and int(tried) >= 90 and int(uid) == user.pw_uid
    assert one.process.poll() is None
    wait_until(lambda: one.cli("status").stdout, 10, "status")
