"""A bad configuration never stops a watch: reload, start, and the last good one."""

import re
import time

import pytest

from harness import (FAST, config_text, email_section, hook_section, kinds, learned_everywhere, mail_text,
                     posted_events, stays, wait_until)

BAD = "[portwatch]\ninterval = 200ms\nsettel = 1s\n"


def test_a_reload_with_an_error_keeps_the_old_rules(watch, listeners, hook):
    good = config_text({}, "[port:8080/tcp]\nname = the good one\n\n" + hook_section(hook))
    running = watch(good)
    learned_everywhere(hook)
    running.reloaded(BAD, r"portwatch\.conf:3: .*settel")
    assert running.process.poll() is None
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 15)
    assert posted_events(hook)[-1]["data"]["name"] == "the good one"


def test_check_config_fails_where_a_reload_would(watch):
    running = watch(FAST)
    running.configure(BAD)
    result = running.cli("check-config")
    assert result.returncode == 2
    assert re.search(r"portwatch\.conf:3: .*settel", result.stdout + result.stderr)


def test_status_exits_1_while_the_file_is_bad(watch, hook):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    wait_until(lambda: running.cli("status").returncode == 0, 5, running.cli("status").stdout)
    running.reloaded(BAD, r"portwatch\.conf:3: ")
    result = running.cli("status")
    assert result.returncode == 1 and "portwatch.conf:3" in result.stdout, result.stdout
    running.reloaded(config_text({}, hook_section(hook)), r"(?i)reload|configuration")
    result = running.cli("status")
    assert result.returncode == 0, result.stdout


def test_a_reload_swaps_rules(watch, listeners, hook):
    running = watch(config_text({}, "[port:8080/tcp]\nname = before\n\n" + hook_section(hook)))
    learned_everywhere(hook)
    running.reloaded(config_text({}, "[port:8080/tcp]\nname = after\nseverity = critical\n\n" + hook_section(hook)),
                     r"(?i)reload|configuration")
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 15)
    data = posted_events(hook)[-1]["data"]
    assert (data["name"], data["severity"]) == ("after", "critical")


def test_a_reload_keeps_what_is_settling_and_what_is_open(watch, listeners, hook):
    text = config_text({"settle": "2s"}, hook_section(hook))
    running = watch(text)
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080", name="web")
    for _ in range(6):
        running.reloaded(text, r"(?i)reload|configuration")
        time.sleep(0.3)
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 6)
    for _ in range(3):
        running.reloaded(text, r"(?i)reload|configuration")
    stays(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 3, "told again")


def test_a_new_notifier_gets_a_learned_message_and_later_changes(watch, listeners, hook, mail):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    running.reloaded(config_text({}, hook_section(hook) + email_section(mail)), r"(?i)reload|configuration")
    learned_everywhere(mail)
    assert len(hook.requests) == 1, "the old notifier heard it already"
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 15)


def test_a_port_that_is_no_longer_watched_resolves(watch, listeners, hook):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 15)
    running.reloaded(config_text({"unlisted": "ignore"}, hook_section(hook)), r"(?i)reload|configuration")
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080"), ("resolved", "tcp/8080")], 15)


def test_drop_ins_are_read_on_reload(watch, listeners, hook):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    drop_ins = running.directory / "portwatch.conf.d"
    drop_ins.mkdir()
    (drop_ins / "10-web.conf").write_text("[port:8080/tcp]\nname = from a drop-in\n")
    running.reloaded(config_text({}, hook_section(hook)), r"(?i)reload|configuration")
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 15)
    assert posted_events(hook)[-1]["data"]["name"] == "from a drop-in"
    (drop_ins / "20-bad.conf").write_text("[port:8081/tcp]\nnonsense = 1\n")
    assert "20-bad.conf:2" in (lambda r: r.stdout + r.stderr)(running.cli("check-config"))


def test_a_start_with_a_bad_file_runs_the_last_good_configuration_and_tells_so(watch, listeners, hook):
    running = watch(config_text({}, "[port:8080/tcp]\nname = the last good one\n\n" + hook_section(hook)))
    learned_everywhere(hook)
    running.stop()
    running.configure(BAD)
    running.start()
    wait_until(lambda: any(e["type"] == "portwatch.self" for e in posted_events(hook)), 15, running.tail)
    event = [e for e in posted_events(hook) if e["type"] == "portwatch.self"][0]
    assert "portwatch.conf:3" in event["data"]["summary"]
    assert running.cli("status").returncode == 1
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 15)
    assert posted_events(hook)[-1]["data"]["name"] == "the last good one"


def test_a_start_without_the_secret_of_a_notifier_goes_on_watching(watch, listeners, hook):
    running = watch(config_text(), started=False)
    secret = running.directory / "secret"
    secret.write_text(hook.secret)
    running.configure(config_text({}, hook_section(hook, secret_file=secret)))
    running.start()
    learned_everywhere(hook)
    running.stop()
    secret.unlink()
    running.start()
    assert running.cli("status").returncode == 1
    listeners.start("tcp@0.0.0.0@8080", name="web")
    running.wait_log(r"8080/tcp opened", 15)
    assert kinds(posted_events(hook)) == []
    secret.write_text(hook.secret)
    running.reload()
    wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 15, running.tail)


def test_the_last_good_configuration_is_for_the_daemon_alone(watch, hook):
    running = watch(config_text({}, hook_section(hook, secret=hook.secret)))
    learned_everywhere(hook)
    kept = [p for p in running.state.iterdir() if hook.secret.encode() in p.read_bytes()]
    assert kept, "not kept"
    for path in kept:
        assert path.stat().st_mode & 0o777 == 0o600, path


@pytest.mark.parametrize("text", [BAD, None], ids=["bad", "absent"])
def test_a_start_without_any_usable_configuration_exits_78_with_the_reason(watch, text):
    running = watch(text, started=False)
    running.start(ready=False)
    assert running.wait_exit() == 78
    assert re.search(r"portwatch\.conf" + (r":3: .*settel" if text else ""), running.log()), running.log()


def test_secrets_are_never_in_the_log_or_status(watch, hook, mail):
    running = watch(config_text({}, hook_section(hook, secret=hook.secret) + email_section(mail)))
    learned_everywhere(hook, mail)
    shown = running.log() + running.cli("status").stdout + running.cli("status", "--json").stdout
    assert hook.secret not in shown and "s3cret" not in shown
    assert mail_text(mail.mails()[0]).count("s3cret") == 0
