"""A database that is corrupt, newer, full or read-only: a clear message, a defined behaviour, nothing dropped."""

import contextlib
import re
import sqlite3
import subprocess
import time

import pytest

from harness import config_text, hook_section, kinds, learned_everywhere, posted_events, wait_until

DB = "portwatch.db"


@pytest.fixture
def learned(watch, hook, listeners):
    """A daemon that has learned port 80 and was stopped."""
    listeners.start("tcp@0.0.0.0@80", name="web")
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    running.stop()
    return running


def test_a_corrupt_database_is_set_aside_and_told_as_critical(learned, hook, listeners):
    database = learned.state / DB
    size = database.stat().st_size
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            (learned.state / (DB + suffix)).unlink()
    database.write_bytes(b"this is no database " * (size // 20))
    learned.start()
    assert list(learned.state.glob("portwatch.db.corrupt*")), list(learned.state.iterdir())
    wait_until(lambda: any(e["type"] == "portwatch.self" and e["data"]["severity"] == "critical"
                           for e in posted_events(hook)), 15, learned.tail)
    listeners.start("tcp@0.0.0.0@8080", name="other")
    wait_until(lambda: ("opened", "tcp/8080") in kinds(posted_events(hook)), 15, "learning starts anew and it watches")


def test_pages_overwritten_while_it_runs_end_in_a_fresh_database_not_in_silence(learned, hook, listeners):
    learned.start()
    database = learned.state / DB
    with open(database, "r+b") as file:
        file.write(b"\xa5" * database.stat().st_size)
    (learned.state / (DB + "-wal")).write_bytes(b"")
    # it may hold what it needs in memory, so the damage shows at the next start at the latest
    listeners.start("tcp@0.0.0.0@8080", name="other")
    wait_until(lambda: kinds(posted_events(hook)) or learned.process.poll() is not None, 15, learned.tail)
    if learned.process.poll() is None:
        learned.stop()
    else:
        learned.wait_exit()
    learned.start()
    wait_until(lambda: any(e["type"] == "portwatch.self" and e["data"]["severity"] == "critical"
                           for e in posted_events(hook)), 20, learned.tail)
    listeners.start("tcp@0.0.0.0@8081", name="other")
    wait_until(lambda: ("opened", "tcp/8081") in kinds(posted_events(hook)), 15, learned.tail)


def test_a_newer_schema_refuses_to_start_and_is_left_as_it_was(learned):
    with contextlib.closing(sqlite3.connect(learned.state / DB)) as database:
        database.execute("PRAGMA user_version = 9999")
        database.commit()
    learned.start(ready=False)
    status = learned.wait_exit()
    assert status not in (0, -9, -6, -11)
    assert re.search(r"(?i)newer", learned.log()), learned.log()
    with contextlib.closing(sqlite3.connect(learned.state / DB)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (9999,)


def test_a_database_of_another_machine_is_set_aside(learned, hook):
    with contextlib.closing(sqlite3.connect(learned.state / DB)) as database:
        tables = [name for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        changed = 0
        for table in tables:
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            for column in columns:
                if column == "machine_id":
                    changed += database.execute(f'UPDATE "{table}" SET machine_id = ?', ("0" * 32,)).rowcount
            if {"key", "value"} <= set(columns):
                changed += database.execute(f'UPDATE "{table}" SET value = ? WHERE key = \'machine_id\'',
                                            ("0" * 32,)).rowcount
        database.commit()
    if not changed:
        pytest.skip("this machine has no machine-id")
    learned.start()
    assert list(learned.state.glob("portwatch.db.foreign*")), learned.log()


@pytest.fixture
def small_disk(place):
    """A file system of its own for the state directory."""
    state = place / "watch0" / "state"
    state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0750", "portwatch-test", state], check=True)
    yield state
    subprocess.run(["umount", "-l", state], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


def test_a_full_disk_loses_no_event(small_disk, watch, hook, listeners):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    fill(small_disk / "filler")
    # the ballast makes room for some; then there is really none
    for port in range(8000, 8010):
        listeners.start(f"tcp@0.0.0.0@{port}", name="web")
    time.sleep(4)
    fill(small_disk / "filler2")
    for port in range(8010, 8400):
        listeners.start(f"tcp@0.0.0.0@{port}", name="web")
    time.sleep(4)
    running.wait_log(r"(?i)full|space|ballast")
    assert running.process.poll() is None, running.log()
    (small_disk / "filler").unlink()
    (small_disk / "filler2").unlink()
    expected = {("opened", f"tcp/{port}") for port in range(8000, 8400)}
    wait_until(lambda: expected <= set(kinds(posted_events(hook))), 40,
               lambda: f"{len(expected - set(kinds(posted_events(hook))))} missing\n{running.tail()}")
    found = [entry for entry in kinds(posted_events(hook)) if entry[0] == "opened"]
    assert len(found) == len(expected), "told twice"
    running.stop()


def test_an_unwritable_state_directory_is_a_clear_error(watch, programs, place):
    running = watch(config_text(), started=False)
    running.state.write_text("a file in its place")
    running.start(ready=False)
    assert running.wait_exit() not in (0, -9, -6, -11)
    assert str(running.state) in running.log()


def test_the_command_line_reads_while_the_daemon_writes(watch, listeners):
    running = watch(config_text({"interval": "100ms"}))
    for turn in range(10):
        held = listeners.start(f"tcp@0.0.0.0@{8000 + turn}", name="web")
        for command in (["status"], ["history"], ["diff"], ["baseline", "show"]):
            assert running.cli(*command).returncode in (0, 1), command
        listeners.stop(held)


def test_reading_works_after_a_clean_stop_as_a_member_of_the_group(watch, listeners):
    running = watch(config_text())
    running.stop()
    assert running.cli("history").returncode == 0
    assert running.cli("baseline", "show").returncode == 0


def test_permissions_of_state(watch):
    running = watch(config_text())
    assert running.state.stat().st_mode & 0o777 == 0o750
    assert (running.state / DB).stat().st_mode & 0o777 == 0o640
