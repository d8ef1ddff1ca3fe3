"""Nothing lost on the way: servers that are down, slow, refuse, or lie."""

import re
import time

import pytest

from harness import (config_text, email_section, hook_section, kinds, learned_everywhere, mail_text,
                     posted_events, stays, strict_mails, wait_until)
from servers import RudeSmtp, verify_signature

FAIL = (503, {}, b"")
GOOD = (204, {}, b"")


def ports_of(text):
    return [int(port) for port in re.findall(r"^\+ tcp +0\.0\.0\.0:(\d+) ", text, re.M)]


def test_the_mail_server_is_down_for_the_whole_test_then_up_everything_arrives_in_order(watch, listeners, mail, hook):
    mail.stop()
    running = watch(config_text({}, email_section(mail) + hook_section(hook, secret=hook.secret)))
    learned_everywhere(hook)
    for number, port in enumerate((8001, 8002, 8003), 2):
        listeners.start(f"tcp@0.0.0.0@{port}", name="web")
        wait_until(lambda: len(hook.requests) >= number, 15, "the other notifier is not held up")
    assert re.search(r"(?i)ops.*(connect|refused)|(connect|refused).*ops", running.cli("status").stdout.replace("\n", " "))
    mail.start()
    running.reload()  # tried at once, else by the back-off
    wait_until(lambda: {8001, 8002, 8003} <= {p for m in mail.mails() for p in ports_of(mail_text(m))}, 30,
               "every event arrives")
    mails = strict_mails(mail)
    assert re.search(r"watching \d+ ports?", mails[0]["Subject"] + mail_text(mails[0])), "the oldest comes first"
    told = [port for m in mails for port in ports_of(mail_text(m))]
    assert [p for i, p in enumerate(told) if p not in told[:i]] == [8001, 8002, 8003], told
    wait_until(lambda: running.cli("status").returncode == 1 and running.json("status"), 10)
    stays(lambda: len(mail.raw_mails()) == len(mails), 2, "a message twice")


def test_an_incident_that_came_and_went_during_an_outage_is_told_once_with_its_times(watch, listeners, mail):
    running = watch(config_text({}, email_section(mail)))
    learned_everywhere(mail)
    mail.stop()
    # this one is in flight and fails; what comes after waits
    listeners.start("tcp@0.0.0.0@8001", name="web")
    running.wait_log(r"8001/tcp")
    running.wait_log(r"notifier ops: ")
    guest = listeners.start("tcp@0.0.0.0@8002", name="guest")
    running.wait_log(r"8002/tcp")
    listeners.stop(guest)
    running.wait_log(r"RESOLVED 8002/tcp")
    mail.start()
    running.reload()
    wait_until(lambda: len(mail.raw_mails()) >= 3, 30)
    stays(lambda: len(mail.raw_mails()) == 3, 2, "merged")
    last = strict_mails(mail)[2]
    assert "8002/tcp" in last["Subject"] and "RESOLVED" in last["Subject"]


def test_a_retry_has_the_same_id_and_bytes(watch, listeners, hook):
    running = watch(config_text({}, hook_section(hook, secret=hook.secret)))
    learned_everywhere(hook)
    hook.respond = FAIL
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) >= 3, 25, "two attempts")
    hook.respond = GOOD
    running.reload()
    first = hook.requests[1]
    wait_until(lambda: len(hook.requests) >= 4, 30)
    for request in hook.requests[1:]:
        assert request.headers["webhook-id"] == first.headers["webhook-id"]
        assert request.body == first.body
        verify_signature(request, hook.key)


def test_retry_after_is_obeyed(watch, listeners, hook):
    watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    hook.respond = lambda request: (429, {"Retry-After": "6"}, b"") if len(hook.requests) == 2 else GOOD
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) == 2, 15)
    wait_until(lambda: len(hook.requests) == 3, 15)
    assert hook.requests[2].time - hook.requests[1].time >= 6, "before its time"


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_refused_message_fails_alone_and_is_told_through_the_other_notifier(watch, listeners, hook, mail, code):
    running = watch(config_text({}, hook_section(hook) + email_section(mail)))
    learned_everywhere(hook, mail)
    hook.respond = lambda request: (code, {}, b"") if b"tcp/8080" in request.body else GOOD
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: any("chat" in mail_text(m) and str(code) in mail_text(m) for m in mail.mails()), 20,
               "the refusal is told by mail")
    listeners.start("tcp@0.0.0.0@8081", name="web")
    wait_until(lambda: ("opened", "tcp/8081") in kinds(posted_events(hook)), 15, "the next message passes")
    assert len([r for r in hook.requests if b"tcp/8080" in r.body and b"tcp/8081" not in r.body]) == 1, "tried again"
    assert str(code) in running.cli("status").stdout


@pytest.mark.parametrize("code", [401, 403, 404, 500])
def test_a_misconfigured_webhook_keeps_its_messages(watch, listeners, hook, code):
    running = watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    hook.respond = (code, {}, b"")
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) >= 2, 15)
    assert str(code) in wait_until(lambda: re.search(r".*%d.*" % code, running.cli("status").stdout), 5)[0]
    hook.respond = GOOD
    running.reload()
    seen = len(hook.requests)
    wait_until(lambda: len(hook.requests) > seen, 15, "tried at once after a reload")
    wait_until(lambda: running.json("status") and running.cli("status").returncode == 1, 5)


def test_a_refused_recipient_does_not_cost_the_others_their_mail(watch, mail):
    watch(config_text({}, email_section(mail, to=("a@localhost", "nobody-here@localhost", "b@localhost"))))
    wait_until(lambda: len(mail.raw_mails()) >= 2, 15)
    assert sorted(m["Envelope-to"] for m in mail.mails()[:2]) == ["a@localhost", "b@localhost"]


@pytest.mark.parametrize("stage, what", [("greeting", "drop"), ("greeting", "silent"), ("data", "451 later"),
                                         ("ehlo", "garbage"), ("greeting", "endless")])
def test_a_rude_mail_server_stops_neither_watching_nor_the_other_notifier(watch, listeners, netns, hook, stage, what):
    with RudeSmtp(stage, what) as rude:
        running = watch(config_text({}, email_section(rude.url) + hook_section(hook)))
        learned_everywhere(hook)
        wait_until(lambda: rude.connections, 10, "the rude server was tried")
        listeners.start("tcp@0.0.0.0@8080", name="web")
        wait_until(lambda: kinds(posted_events(hook)) == [("opened", "tcp/8080")], 10)
        assert running.rss() < 60 * 1024
        running.stop()


def test_past_the_hourly_limit_events_wait_and_none_is_dropped(watch, listeners, hook):
    running = watch(config_text({}, hook_section(hook, max_per_hour="4", group_wait="200ms")))
    learned_everywhere(hook)
    for number, port in enumerate(range(8000, 8008)):
        listeners.start(f"tcp@0.0.0.0@{port}", name="web")
        running.wait_log(rf"{port}/tcp")
        wait_until(lambda n=number: len(hook.requests) >= min(n + 2, 4), what=running.tail)
    told = kinds(posted_events(hook))
    assert len(told) < 8
    wait_until(lambda: running.json("status")["notifiers"][0]["waiting"] == 8 - len(told),
               what=lambda: running.json("status")["notifiers"])
    stays(lambda: len(hook.requests) == 4, 2, "more than allowed")
    assert re.search(r"(?i)hour", running.cli("status").stdout), running.cli("status").stdout
    # the limit may be lifted: what waited goes as one message, each event once
    running.reloaded(config_text({}, hook_section(hook, max_per_hour="100", group_wait="200ms")), "reload")
    wait_until(lambda: len(kinds(posted_events(hook))) == 8, 15, running.tail)
    assert {subject for _, subject in kinds(posted_events(hook))} == {f"tcp/{p}" for p in range(8000, 8008)}
    assert len(hook.requests) <= 5


def test_portwatch_test_goes_through_the_real_channel(watch, mail, hook):
    running = watch(config_text({}, email_section(mail) + hook_section(hook, secret=hook.secret)))
    learned_everywhere(mail, hook)
    result = running.cli("test")
    assert result.returncode == 0, result.stdout + result.stderr
    assert posted_events(hook)[-1]["type"] == "portwatch.test"
    wait_until(lambda: len(mail.raw_mails()) == 2, 5)
    hook.respond = FAIL
    result = running.cli("test", "chat")
    assert result.returncode == 1 and "503" in result.stdout + result.stderr


def test_no_mail_server_on_loopback_status_says_so_and_what_to_set(watch, netns, listeners):
    running = watch(config_text({}, email_section("smtp://localhost:25")))
    said = wait_until(lambda: re.search(r"(?is)(localhost|127\.0\.0\.1|::1).*\bserver\b", running.cli("status").stdout), 15,
                      running.cli("status").stdout)
    assert said
    assert running.cli("status").returncode in (0, 1)
    listeners.start("tcp@0.0.0.0@8080", name="web")
    running.wait_log(r"8080/tcp")


def test_a_bad_certificate_is_refused_by_default(watch, mail):
    running = watch(config_text({}, email_section(mail, ca_file=None)))
    wait_until(lambda: re.search(r"(?i)certificate", running.cli("status").stdout), 15)
    assert not mail.raw_mails()


def test_messages_carry_no_secret_and_minimal_detail_no_command_line(watch, listeners, hook):
    watch(config_text({}, hook_section(hook)))
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080", name="web", argv0="web --password=hunter2")
    wait_until(lambda: len(hook.requests) == 2, 15)
    assert b"hunter2" not in hook.requests[1].body


def test_full_detail_carries_the_command_line(watch, listeners, hook):
    watch(config_text({}, hook_section(hook, detail="full")))
    learned_everywhere(hook)
    listeners.start("tcp@0.0.0.0@8080", name="web", argv0="web --verbose-flag")
    wait_until(lambda: len(hook.requests) == 2, 15)
    assert b"--verbose-flag" in hook.requests[1].body
