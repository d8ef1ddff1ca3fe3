"""The main job: a listener comes and goes, and the people hear of it once each time, by mail and by webhook."""

import json
import re
import time

import pytest

from harness import (SLOW, config_text, email_section, hook_section, kinds, learned_everywhere, mail_text,
                     posted_events, stalled, stays, strict_mails, wait_until)
from servers import verify_signature


def both(mail, hook, **keys):
    return (email_section(mail, **keys)
            + hook_section(hook, secret=hook.secret, **keys))


@pytest.mark.parametrize("times", [
    {"interval": "200ms", "settle": "1s", "group_wait": "1s"},
    pytest.param({"interval": "2s", "settle": "5s", "group_wait": "5s"}, marks=pytest.mark.slow),
], ids=["fast", "defaults"])
def test_a_listener_is_one_mail_and_one_signed_post_and_one_resolved_when_it_goes(watch, listeners, mail, hook, times):
    keys = {k: v for k, v in times.items() if k != "group_wait"}
    listeners.start("tcp@127.0.0.1@5432", name="old")
    watch(config_text({**keys, "settle_closed": times["settle"]}, both(mail, hook, group_wait=times["group_wait"])))
    learned_everywhere(mail, hook)
    learned = strict_mails(mail)[0]

    web = listeners.start("tcp@0.0.0.0@8080", name="web")
    seconds = sum(int(re.match(r"\d+", v)[0]) / (1000 if "ms" in v else 1) for v in times.values())

    def soon(count, what):
        """In the time a person waits for a mail; what else this machine has to do at the moment is no part of it."""
        begun, busy = time.monotonic(), stalled()
        wait_until(lambda: len(mail.raw_mails()) == count and len(hook.requests) == count, what=what)
        assert time.monotonic() - begun - (stalled() - busy) <= (seconds + 2) * SLOW, what

    soon(2, "one mail and one post")
    stays(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 2, "a second message")

    opened = strict_mails(mail)[1]
    subject = opened["Subject"]
    assert "8080/tcp" in subject and "web" in subject and "RESOLVED" not in subject
    assert subject.startswith("[")
    assert opened["Auto-Submitted"] == "auto-generated"
    assert opened["Message-ID"] and opened["Date"] and opened["From"].addresses[0].addr_spec == "portwatch@localhost"
    assert re.search(r"^\+ tcp +0\.0\.0\.0:8080 ", mail_text(opened), re.M)
    assert not re.search(r"^- ", mail_text(opened), re.M)
    assert re.search(r"portwatch accept ([A-Z2-9]{4})\b", mail_text(opened))

    for request in hook.requests:
        verify_signature(request, hook.key)
    event = posted_events(hook)[-1]
    assert (event["specversion"], event["type"], event["subject"]) == (
        "1.0", "portwatch.incident.opened", "tcp/8080")
    data = event["data"]
    assert (data["schema"], data["status"], data["change"], data["protocol"], data["port"]) == (
        1, "open", "opened", "tcp", 8080)
    assert data["before"] == [] and data["after"][0]["address"] == "0.0.0.0"
    assert data["after"][0]["owner"]["exe"].endswith("/web")
    assert data["incident"] in mail_text(opened)

    listeners.stop(web)
    soon(3, "one resolved each")
    stays(lambda: len(mail.raw_mails()) == 3 and len(hook.requests) == 3, 2, "a second message")
    resolved = strict_mails(mail)[2]
    assert "RESOLVED" in resolved["Subject"] and "8080/tcp" in resolved["Subject"]
    assert resolved["In-Reply-To"] == opened["Message-ID"] and opened["Message-ID"] in resolved["References"]
    assert resolved["Message-ID"] not in (opened["Message-ID"], learned["Message-ID"])
    assert kinds(posted_events(hook)) == [("opened", "tcp/8080"), ("resolved", "tcp/8080")]
    assert posted_events(hook)[-1]["data"]["incident"] == data["incident"]


def test_the_first_message_says_what_is_watched(watch, listeners, mail, hook):
    listeners.start("tcp@0.0.0.0@80", "tcp@::@80@v6only", "udp@0.0.0.0@53", name="web")
    watch(config_text({}, both(mail, hook)))
    learned_everywhere(mail, hook)
    first = strict_mails(mail)[0]
    assert re.search(r"watching \d+ ports? on \S+", first["Subject"] + mail_text(first))
    for port in ("0.0.0.0:80", "0.0.0.0:53"):
        assert port in mail_text(first)
    assert posted_events(hook)[0]["type"] == "portwatch.baseline.learned"
    stays(lambda: len(mail.raw_mails()) == 1 and len(hook.requests) == 1, 2, "learned is told once")


def test_200_listeners_in_one_second_are_one_message_a_notifier(watch, listeners, mail, hook):
    # a second of a busy machine: eight, which is what is waited for more of one message
    watch(config_text({}, both(mail, hook, group_wait="8s")))
    learned_everywhere(mail, hook)
    # as the second has it: some come later than others
    crowd = [listeners.start(*[f"tcp@0.0.0.0@{port}" for port in range(first, first + 40)], name=f"crowd{first}")
             for first in range(1000, 1200, 40)]
    wait_until(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 15, "one message each")
    stays(lambda: len(mail.raw_mails()) == 2 and len(hook.requests) == 2, 4, "one message each, not more")
    events = json.loads(hook.requests[1].body)
    assert len(events) == 200
    assert {e["subject"] for e in events} == {f"tcp/{port}" for port in range(1000, 1200)}
    assert len({e["id"] for e in events}) == 200 and len({e["data"]["incident"] for e in events}) == 200
    verify_signature(hook.requests[1], hook.key)
    text = mail_text(strict_mails(mail)[1])
    assert all(f":{port}" in text for port in range(1000, 1200))
    assert all(len(line) <= 998 for line in mail.raw_mails()[1].splitlines())

    for process in crowd:
        listeners.stop(process)
    wait_until(lambda: len(kinds(posted_events(hook))) >= 400 and len(mail.raw_mails()) >= 3, 15, "all resolved")
    stays(lambda: len(mail.raw_mails()) <= 3 and len(hook.requests) <= 3, 3, "one message each")
    assert [kind for kind, _ in kinds(posted_events(hook))].count("resolved") == 200


def test_every_recipient_gets_a_mail_of_the_same_id(watch, listeners, mail):
    watch(config_text({}, email_section(mail, to=("a@localhost", "b@localhost, c@localhost"))))
    wait_until(lambda: len(mail.raw_mails()) == 3, 15, "three learned mails")
    assert len({m["Message-ID"] for m in strict_mails(mail)}) == 1
    listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(mail.raw_mails()) == 6, 15, "three mails")
    assert len({m["Message-ID"] for m in strict_mails(mail)[3:]}) == 1


def test_a_widened_port_is_critical_and_says_what_it_was(watch, listeners, mail, hook):
    local = listeners.start("tcp@127.0.0.1@5432", name="postgres")
    watch(config_text({}, both(mail, hook)))
    learned_everywhere(mail, hook)
    listeners.stop(local)
    listeners.start("tcp@0.0.0.0@5432", name="postgres")
    wait_until(lambda: len(mail.raw_mails()) == 2, 15)
    told = strict_mails(mail)[1]
    assert "CRITICAL" in told["Subject"] and "5432/tcp" in told["Subject"] and "postgres" in told["Subject"]
    assert re.search(r"^- tcp +127\.0\.0\.1:5432 .*\n\+ tcp +0\.0\.0\.0:5432 ", mail_text(told), re.M)
    wait_until(lambda: len(hook.requests) == 2, 5)
    data = posted_events(hook)[-1]["data"]
    assert (data["change"], data["severity"]) == ("address", "critical")
    assert data["diff"][0].startswith("-") and data["diff"][1].startswith("+")


def test_another_program_on_the_port_is_an_owner_change(watch, listeners, mail):
    first = listeners.start("tcp@0.0.0.0@80", name="nginx")
    watch(config_text({}, email_section(mail)))
    learned_everywhere(mail)
    listeners.stop(first)
    listeners.start("tcp@0.0.0.0@80", name="intruder", uid=65534)
    wait_until(lambda: len(mail.raw_mails()) == 2, 15)
    told = strict_mails(mail)[1]
    assert "intruder" in told["Subject"] and "nobody" in told["Subject"]
    assert re.search(r"^- .*nginx", mail_text(told), re.M) and re.search(r"^\+ .*intruder", mail_text(told), re.M)


def test_a_closed_expected_port_is_told_and_resolved_when_it_is_back(watch, listeners, mail):
    web = listeners.start("tcp@0.0.0.0@80", name="web")
    watch(config_text({"settle_closed": "1s"}, "[port:80/tcp]\nname = public web\nseverity = critical\n\n" + email_section(mail)))
    learned_everywhere(mail)
    listeners.stop(web)
    wait_until(lambda: len(mail.raw_mails()) == 2, 15)
    closed = strict_mails(mail)[1]
    assert "CRITICAL" in closed["Subject"] and "80/tcp" in closed["Subject"] and "public web" in closed["Subject"] + mail_text(closed)
    listeners.start("tcp@0.0.0.0@80", name="web")
    wait_until(lambda: len(mail.raw_mails()) == 3, 15)
    assert "RESOLVED" in strict_mails(mail)[2]["Subject"]


def test_accept_by_token_makes_it_the_new_normal(watch, listeners, mail, hook):
    running = watch(config_text({}, both(mail, hook)))
    learned_everywhere(mail, hook)
    web = listeners.start("tcp@0.0.0.0@8080", name="web")
    wait_until(lambda: len(hook.requests) == 2, 15)
    token = posted_events(hook)[-1]["data"]["incident"]
    assert running.cli("status").returncode == 1
    assert running.cli("diff").returncode == 1
    result = running.cli("accept", token, "--reason", "new web server")
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: len(hook.requests) == 3, 15, "one resolved")
    resolved = posted_events(hook)[-1]
    assert resolved["type"] == "portwatch.incident.resolved" and resolved["data"]["status"] == "accepted"
    assert running.cli("diff").returncode == 0
    assert running.cli("status").returncode == 0
    assert "new web server" in running.history("8080")
    listeners.stop(web)
    wait_until(lambda: len(hook.requests) == 4, 15, "now its absence is a change")
    assert posted_events(hook)[-1]["data"]["change"] == "closed"
