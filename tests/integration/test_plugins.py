"""A plugin that crashes, hangs, eats memory or lies stops neither the watch nor the other notifier, and says so."""

import re
import time

import pytest

from harness import config_text, hook_section, kinds, learned_everywhere, posted_events, wait_until


def present(programs, name):
    if not (programs.plugins / f"{name}.so").exists():
        pytest.fail(f"test plugin {name} is not built")


@pytest.mark.parametrize("bad", ["crash", "abort", "hang", "eat", "exit", "garbage", "huge-frame", "close", "chatty"])
def test_a_bad_plugin_stops_neither_the_watch_nor_the_other_notifier(programs, watch, listeners, hook, bad):
    present(programs, bad)
    running = watch(config_text({}, f"[notifier:bad]\nplugin = {bad}\ngroup_wait = 200ms\n\n" + hook_section(hook)))
    running.plugin_crashes = bad in ("crash", "abort")
    learned_everywhere(hook)
    for port in (8080, 8081):
        listeners.start(f"tcp@0.0.0.0@{port}", name="web")
        wait_until(lambda p=port: ("opened", f"tcp/{p}") in kinds(posted_events(hook)), 15, running.tail)
    assert running.process.poll() is None
    assert running.rss() < 200 * 1024
    wait_until(lambda: re.search(r"(?s)\bbad\b", running.cli("status").stdout), 10)


@pytest.mark.parametrize("bad", ["crash", "exit"])
def test_a_crashing_child_is_started_again_with_a_back_off(programs, watch, hook, bad):
    present(programs, bad)
    running = watch(config_text({}, f"[notifier:bad]\nplugin = {bad}\ngroup_wait = 200ms\n\n" + hook_section(hook)))
    running.plugin_crashes = bad == "crash"
    learned_everywhere(hook)

    def ends():
        # not its processes: one that ends at once is gone before anybody looks
        return len(re.findall(r"(?m)^portwatchd: notifier bad: plugin \w+ (?:exited|was killed)", running.log()))

    wait_until(lambda: ends() >= 2, 15, running.tail)
    before = ends()
    time.sleep(8)
    # 4 s, 8 s ... with jitter
    assert ends() - before <= 4, running.tail()


def test_a_plugin_of_another_abi_is_an_error_of_the_configuration(programs, watch):
    present(programs, "wrong-abi")
    running = watch(config_text({}, "[notifier:bad]\nplugin = wrong-abi\n"), started=False)
    result = running.cli("check-config")
    assert result.returncode == 2
    assert re.search(r"portwatch\.conf:\d+: .*wrong-abi", result.stdout + result.stderr), result.stderr


@pytest.mark.parametrize("name", ["absent", "../email", "/etc/passwd", "Email", "x" * 40])
def test_a_plugin_that_is_not_there_or_not_a_name_is_an_error_of_the_configuration(watch, name):
    running = watch(config_text({}, f"[notifier:bad]\nplugin = {name}\n"), started=False)
    result = running.cli("check-config")
    assert result.returncode == 2
    assert re.search(r"portwatch\.conf:\d+: ", result.stdout + result.stderr), result.stderr


def test_a_child_without_work_is_gone_and_comes_back(watch, listeners, hook):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    child, = running.children()
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) == 2, 15)
    assert running.children() == [child], "one child a notifier, used again"
