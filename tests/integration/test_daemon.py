"""The daemon in the middle of things: requests, tests and reloads that cross each other."""

import contextlib
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time

from harness import config_text, hook_section, kinds, learned_everywhere, posted_events, wait_until


def hung_server(port):
    """Takes connections and never answers."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(16)
    return server


def stop_between_transactions(running):
    """SIGSTOP, but not while it keeps others from writing into the database."""

    def stopped():
        running.process.send_signal(signal.SIGSTOP)
        state = pathlib.Path(f"/proc/{running.process.pid}/stat")
        wait_until(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "T")
        try:
            with contextlib.closing(sqlite3.connect(running.state / "portwatch.db", timeout=0)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            return True
        except sqlite3.OperationalError:
            running.process.send_signal(signal.SIGCONT)
            return False

    wait_until(stopped)


def start_cli(running, *arguments):
    return subprocess.Popen([str(running.programs.cli), "--config", str(running.config), "--state-dir", str(running.state),
                             *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def requests_waiting(running):
    with sqlite3.connect(f"file:{running.state / 'portwatch.db'}?mode=ro", uri=True, timeout=5) as database:
        return database.execute("SELECT count(*) FROM request").fetchone()[0]


def test_reloads_while_notifiers_are_being_tested(watch, netns):
    with hung_server(18081), hung_server(18082):
        names = ["first", "second", "third"]
        both = [hook_section(f"http://127.0.0.1:{18081 + i % 2}/", name) for i, name in enumerate(names)]
        running = watch(config_text({}, "".join(both)))
        for sections in ("".join(both), both[0], "".join(both[1:]), "".join(both[::-1]), ""):
            before = requests_waiting(running)
            test = start_cli(running, "test")
            wait_until(lambda: requests_waiting(running) > before or test.poll() is not None, what="the request")
            time.sleep(0.5)
            running.reloaded(config_text({}, sections), "configuration reloaded")
            running.reloaded(config_text({}, "".join(both)), "configuration reloaded")
            test.kill()
            test.communicate()
        assert running.process.poll() is None, running.tail()


def test_a_request_is_not_answered_from_a_snapshot_that_was_never_taken(watch, listeners, hook):
    listeners.start("tcp@0.0.0.0@80", name="web")
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    stop_between_transactions(running)
    accept = start_cli(running, "accept", "--all")
    wait_until(lambda: requests_waiting(running), what="the request")
    running.kill()
    running.start()
    said, _ = accept.communicate()
    assert accept.returncode == 0 and "nothing to accept" in said, said
    time.sleep(2)
    assert running.cli("diff").returncode == 0, running.history()
    assert kinds(posted_events(hook)) == []
