"""The email plugin against a real exim4, aiosmtpd, and servers that misbehave at each stage of SMTP."""

import time

import pytest

from notifydriver import driver  # noqa: F401
from servers import PASSWORD, USER, Ca, Exim, HttpServer, RudeSmtp, Smtp, ca, exim, free_port  # noqa: F401

# their ports are nobody else's
pytestmark = pytest.mark.usefixtures("netns")


def settings(server, **more):
    return {"server": server.url, "from": "portwatch@db1.example.com", "to": "root@localhost", **more}


def login(server, **more):
    return settings(server, starttls="required", username=USER, password=PASSWORD, ca_file=server.ca.ca, **more)


def test_starttls_and_auth(driver, exim):
    one = driver.run("email", login(exim), "--subject", "[db1] 443/tcp opened: Zürich", "--text", "grüezi\nFrom here\n.\n")
    assert one.only.outcome == "delivered" and one.only.code == 250
    [mail] = exim.wait_mails(1)
    assert mail["subject"] == "[db1] 443/tcp opened: Zürich"
    assert mail.get_content() == "grüezi\nFrom here\n.\n"
    assert mail["to"] == "root@localhost" and mail["auto-submitted"] == "auto-generated"
    assert mail["message-id"] == "<0b1c8e52-6f0a-4a63-9d3c-0d1f6f0e9a11@db1.example.com>"
    assert "A=plain:acct" in exim.log() and "X=TLS" in exim.log() and "H=(db1.example.com)" in exim.log()


def test_smtps(driver, ca):
    with Exim(ca, tls="smtps") as exim:
        good = settings(exim, username=USER, password=PASSWORD, ca_file=exim.ca.ca)
        assert driver.run("email", good).only.outcome == "delivered"
        assert len(exim.wait_mails(1)) == 1


def test_retries_send_the_same_bytes(driver, exim):
    run = driver.run("email", login(exim), "--times", 3, "--text", "ü\n", "--reference", "first")
    assert [d.outcome for d in run.deliveries] == ["delivered"] * 3
    raw = {b"\n".join(l for l in r.split(b"\n") if not l.startswith((b"Received", b"\tby", b"\t(env", b"\tid", b"\tfor",
           b"Delivery-date"))) for r in exim.raw_mails() or exim.wait_mails(3) and exim.raw_mails()}
    bodies = {r[r.index(b"\nDate: "):] for r in raw}
    assert len(bodies) == 1


def test_one_transaction_a_recipient(driver, exim):
    run = driver.run("email", login(exim, to="root@localhost, nobody-here@localhost, ops@localhost"))
    assert [(d.recipient, d.outcome, d.code) for d in run.deliveries] == [
        ("root@localhost", "delivered", 250), ("nobody-here@localhost", "refused", 550), ("ops@localhost", "delivered", 250)]
    assert "no such user" in run.deliveries[1].reason and run.trouble == ["-"]
    mails = exim.wait_mails(2)
    assert sorted(m["envelope-to"] for m in mails) == ["ops@localhost", "root@localhost"]
    assert mails[0]["message-id"] == mails[1]["message-id"]
    again = driver.run("email", login(exim, to="root@localhost, ops@localhost"), "--skip", "root@localhost")
    assert again.only.recipient == "ops@localhost"
    assert driver.run("email", login(exim), "--skip", "root@localhost").deliveries == []


def test_wrong_password_blames_the_notifier(driver, exim):
    one = driver.run("email", {**login(exim), "password": "wrong"}).only
    assert one.outcome == "retry" and one.code == 535 and "AUTH" in one.reason and "wrong" not in one.reason


def test_certificates_are_checked(driver, exim, place):
    unknown = {k: v for k, v in login(exim).items() if k != "ca_file"}
    one = driver.run("email", unknown).only
    assert one.outcome == "retry" and "certificate" in one.reason
    other = Ca(place / "other")
    one = driver.run("email", {**login(exim), "ca_file": other.ca}).only
    assert one.outcome == "retry" and "certificate" in one.reason


def test_starttls_required_never_falls_back(driver):
    with RudeSmtp(features=["AUTH PLAIN LOGIN"]) as plain:
        one = driver.run("email", settings(plain, starttls="required", username=USER, password=PASSWORD)).only
        assert one.outcome == "retry"
        assert not [c for c in plain.commands if c.startswith(("AUTH", "MAIL"))]

    class Lying(RudeSmtp):  # offers STARTTLS, then says 454
        pass

    with Lying(features=["STARTTLS", "AUTH PLAIN LOGIN"]) as lying:
        one = driver.run("email", settings(lying, starttls="required", username=USER, password=PASSWORD)).only
        assert one.outcome == "retry"
        assert not [c for c in lying.commands if c.startswith(("AUTH", "MAIL"))]


def test_aiosmtpd_with_starttls(driver, ca):
    with Smtp(ca.server_context(), auth=True) as server:
        server.ca = ca
        assert driver.run("email", login(server)).only.outcome == "delivered"
        assert server.mails[0][:2] == ("portwatch@db1.example.com", ["root@localhost"])


def test_plain_loopback(driver):
    with Smtp() as server:
        assert driver.run("email", settings(server)).only.outcome == "delivered"
        assert driver.run("email", settings(server, starttls="required")).only.outcome == "retry"


RUDE = [(stage, what, outcome) for stage, what, outcome in (
    ("greeting", "421 go away", "retry"), ("greeting", "554 never", "retry"), ("greeting", "drop", "retry"),
    ("greeting", "garbage", "retry"), ("ehlo", "421 busy", "retry"), ("ehlo", "550 no", "retry"), ("ehlo", "drop", "retry"),
    ("mail", "450 later", "retry"), ("mail", "550 not you", "retry"), ("mail", "552 no room", "retry"),
    ("mail", "drop", "retry"), ("rcpt", "450 greylisted", "retry"), ("rcpt", "421 bye", "retry"),
    ("rcpt", "550 no such user", "refused"), ("rcpt", "530 authenticate first", "retry"), ("rcpt", "drop", "retry"),
    ("data", "451 later", "retry"), ("data", "554 no", "refused"), ("data", "drop", "retry"), ("body", "drop", "retry"),
    ("body", "421 shutting down", "retry"), ("body", "451 disk", "retry"), ("body", "550 spam", "refused"),
    ("body", "552 too large", "refused"))]


@pytest.mark.parametrize("stage,what,outcome", RUDE)
def test_rude_servers(driver, stage, what, outcome):
    with RudeSmtp(stage, what) as server:
        one = driver.run("email", settings(server)).only
        assert one.outcome == outcome, one.reason
        if what[0].isdigit():
            assert one.code == int(what[:3]) and what in one.reason
        else:
            assert one.code == 0 and one.reason


@pytest.mark.parametrize("stage,what", [("greeting", "silent"), ("greeting", "dribble"), ("ehlo", "endless"),
                                        ("rcpt", "silent"), ("body", "silent"), ("body", "dribble")])
def test_slow_servers_end_at_the_deadline(driver, stage, what):
    with RudeSmtp(stage, what) as server:
        start = time.monotonic()
        one = driver.run("email", settings(server), "--deadline", 3000).only
        assert one.outcome == "retry" and one.code == 0 and one.reason
        assert time.monotonic() - start < 30


@pytest.mark.parametrize("stage,what,outcome", [(None, None, "delivered"), ("rcpt", "550 no such user", "refused"),
                                                ("body", "550 spam", "refused")])
def test_the_outcome_does_not_wait_for_the_goodbye(driver, stage, what, outcome):
    with RudeSmtp(stage, what, silent_quit=True) as server:
        assert driver.run("email", settings(server), "--deadline", 20000).only.outcome == outcome


def test_nobody_listens(driver):
    one = driver.run("email", {"server": f"smtp://127.0.0.1:{free_port()}", "from": "a@b", "to": "c@d"}).only
    assert one.outcome == "retry" and "onnect" in one.reason
    one = driver.run("email", {"server": "smtp://no.such.host.invalid", "starttls": "no", "from": "a@b", "to": "c@d"}).only
    assert one.outcome == "retry" and "resolve" in one.reason


def test_auth_not_offered_blames_the_notifier(driver):
    with RudeSmtp("rcpt", "550 relay not permitted") as server:
        one = driver.run("email", settings(server, username=USER, password=PASSWORD)).only
        assert one.outcome == "retry" and "offered no AUTH" in one.reason


def test_proxies_of_the_environment_are_ignored(driver):
    with Smtp() as server, HttpServer() as proxy:
        env = {"http_proxy": proxy.url, "all_proxy": proxy.url, "ALL_PROXY": proxy.url}
        assert driver.run("email", settings(server), env=env).only.outcome == "delivered"
        assert not proxy.requests


def test_no_injection_reaches_the_wire(driver):
    with Smtp() as server:
        evil = "x\r\nBcc: a@b\x1b[2J"
        run = driver.run("email", settings(server), "--subject", evil, "--text", evil + "\r\n.\r\nMAIL FROM:<x>\r\n",
                         "--reference", evil, "--host", "h\r\nBcc: a@b")
        assert run.only.outcome == "delivered" and len(server.mails) == 1
        head, body = server.mails[0][2].split(b"\r\n\r\n", 1)
        assert b"\nBcc" not in head and b"\x1b" not in server.mails[0][2]
        assert b"\n.\r\nMAIL FROM" in body or b"\n=2E\r\nMAIL FROM" in body


CHECKS = [
    ({"server": "localhost:25"}, "2: [notifier:drive] server: is not smtp://HOST:PORT or smtps://HOST:PORT"),
    ({"server": "http://x"}, "2: [notifier:drive] server: is not smtp://HOST:PORT or smtps://HOST:PORT"),
    ({"server": "smtp://u:p@x"}, "2: [notifier:drive] server: is not smtp://HOST:PORT or smtps://HOST:PORT"),
    ({"server": "smtp://x/path"}, "2: [notifier:drive] server: is not smtp://HOST:PORT or smtps://HOST:PORT"),
    ({"server": "smtp://x:99999"}, "2: [notifier:drive] server: is not smtp://HOST:PORT or smtps://HOST:PORT"),
    ({"from": "me"}, "3: [notifier:drive] from: is not an address like portwatch@example.com"),
    ({"to": "a@b, c"}, '4: [notifier:drive] to: "c" is not an address like user@example.com'),
    ({"to": "a@b,, c@d"}, '4: [notifier:drive] to: "" is not an address like user@example.com'),
    ({"to": "a@b, A@B"}, '4: [notifier:drive] to: "A@B" is given twice'),
    ({"starttls": "try"}, "5: [notifier:drive] starttls: is neither no nor required"),
    ({"server": "smtps://x", "starttls": "required"}, "5: [notifier:drive] starttls: an smtps:// server is encrypted"),
    ({"username": "u"}, "5: [notifier:drive] username: needs password, password_file or credential"),
    ({"password": "p"}, "5: [notifier:drive] password: needs username"),
    ({"server": "smtp://mail.example.com", "starttls": "no", "username": "u", "password": "p"},
     "6: [notifier:drive] username: would send the password in clear"),
    ({"password_file": "/nonexistent/x", "username": "u"},
     "5: [notifier:drive] password_file: /nonexistent/x: No such file or directory"),
    ({"ca_file": "/etc/hosts"}, "5: [notifier:drive] ca_file: the file holds no PEM certificate"),
    ({"colour": "red"}, "5: [notifier:drive] colour: unknown key for plugin email"),
]


@pytest.mark.parametrize("change,fault", CHECKS)
def test_configuration_faults(driver, change, fault):
    good = {"server": "smtp://localhost", "from": "a@b", "to": "c@d"}
    lines = driver.check("email", {**good, **change})
    assert len(lines) == 1 and lines[0].startswith("driver.conf:" + fault), lines


def test_missing_and_good_configurations(driver):
    assert driver.check("email", {"from": "a@b"}) == [
        "driver.conf:1: [notifier:drive] server: is required by plugin email",
        "driver.conf:1: [notifier:drive] to: is required by plugin email"]
    assert driver.check("email", {"server": "smtp://[::1]:2525", "from": "a@b", "to": "c@d", "username": "u",
                                  "password": "p"}) == []
    assert driver.check("email", {"server": "smtps://mail.example.com", "from": "a@b", "to": "c@d, e@f", "username": "u",
                                  "password": "p"}) == []
    assert driver.check("email", [("server", "smtp://x"), ("from", "a@b"), ("to", "c@d"), ("to", "e@f")]) == []


def test_password_from_file_and_credential(driver, exim, place):
    secret = place / "secret"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o400)
    base = {k: v for k, v in login(exim).items() if k != "password"}
    assert driver.run("email", {**base, "password_file": secret}).only.outcome == "delivered"
    assert driver.run("email", {**base, "credential": "secret"}, "--credentials", place).only.outcome == "delivered"
