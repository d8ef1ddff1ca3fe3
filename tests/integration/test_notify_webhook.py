"""The webhook plugin against real HTTP servers, polite and not."""

import email.utils
import json
import time

import pytest

from notifydriver import driver  # noqa: F401
from servers import HttpServer, ca, free_port, http_server, verify_signature, webhook_secret  # noqa: F401

# their ports are nobody else's
pytestmark = pytest.mark.usefixtures("netns")
ID = "0b1c8e52-6f0a-4a63-9d3c-0d1f6f0e9a11"


def test_a_signed_post(driver, http_server):
    secret, key = webhook_secret()
    document = '{"specversion":"1.0","data":"ü\\u0000"}'
    one = driver.run("webhook", [("url", http_server.url), ("secret", secret), ("header", "Authorization: Bearer abc"),
                                 ("header", "X-Two: 2")], "--document", document).only
    assert one.outcome == "delivered" and one.code == 204 and one.recipient == ""
    [request] = http_server.requests
    verify_signature(request, key)
    assert request.method == "POST" and request.body.decode() == document and json.loads(request.body)
    assert request.headers["webhook-id"] == ID
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert request.headers["authorization"] == "Bearer abc" and request.headers["x-two"] == "2"


def test_batches_and_no_signature_without_secret(driver, http_server):
    driver.run("webhook", {"url": http_server.url}, "--document", '[{"a":1},{"b":2}]')
    [request] = http_server.requests
    assert request.headers["content-type"] == "application/cloudevents-batch+json; charset=utf-8"
    assert "webhook-signature" not in request.headers


def test_retries_have_the_same_id_and_body(driver, http_server):
    http_server.respond = (500, {}, b"boom")
    run = driver.run("webhook", {"url": http_server.url}, "--times", 3)
    assert [(d.outcome, d.code, d.reason) for d in run.deliveries] == [("retry", 500, "HTTP 500: boom")] * 3
    assert len({(r.headers["webhook-id"], r.body) for r in http_server.requests}) == 1


@pytest.mark.parametrize("status,outcome", [(200, "delivered"), (202, "delivered"), (400, "refused"), (401, "retry"),
                                            (403, "retry"), (404, "retry"), (410, "retry"), (413, "refused"),
                                            (422, "refused"), (429, "retry"), (500, "retry"), (503, "retry")])
def test_status(driver, http_server, status, outcome):
    http_server.respond = (status, {}, b"\x1b[2J\xff evil\r\nbody")
    one = driver.run("webhook", {"url": http_server.url}).only
    assert (one.outcome, one.code) == (outcome, status)
    if outcome != "delivered":
        assert one.reason.startswith(f"HTTP {status}: ") and "\x1b" not in one.reason


def test_retry_after(driver, http_server):
    http_server.respond = (429, {"Retry-After": "120"}, b"")
    assert driver.run("webhook", {"url": http_server.url}).only.retry_after == 120
    http_server.respond = lambda _: (503, {"Retry-After": email.utils.formatdate(time.time() + 300, usegmt=True)}, b"")
    assert 290 < driver.run("webhook", {"url": http_server.url}).only.retry_after <= 300
    http_server.respond = (503, {"Retry-After": "99999999999999999999"}, b"")
    assert driver.run("webhook", {"url": http_server.url}).only.outcome == "retry"
    http_server.respond = (503, {"Retry-After": "-5"}, b"")
    assert driver.run("webhook", {"url": http_server.url}).only.retry_after == 0


def test_discord_says_how_long_to_wait_inside_its_answer(driver, http_server):
    limited = b'{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}'
    http_server.respond = (429, {"Content-Type": "application/json", "Retry-After": "64"}, limited)
    run = driver.run("webhook", {"url": http_server.url, "format": "discord"}, "--times", 2)
    assert [(d.outcome, d.code, d.retry_after) for d in run.deliveries] == [("retry", 429, 64.57)] * 2
    http_server.respond = (429, {}, b'{"retry_after": -1}')
    assert driver.run("webhook", {"url": http_server.url, "format": "discord"}).only.retry_after == 0
    assert len({r.body for r in http_server.requests}) == 1, "a retry has the same bytes"


def test_ntfy_takes_json_at_its_root_with_the_urls_query(driver, http_server):
    url = http_server.url.replace("/hook", "/my-topic?auth=QmVh")
    settings = [("url", url), ("format", "ntfy"), ("header", "Authorization: Bearer tk_x")]
    assert driver.run("webhook", settings, "--subject", "Ä\\r\\nX: y").only.outcome == "delivered"
    [request] = http_server.requests
    assert request.path == "/?auth=QmVh" and request.headers["authorization"] == "Bearer tk_x"
    assert json.loads(request.body) == {"topic": "my-topic", "title": "Ä\\r\\nX: y", "message": "a text", "priority": 3,
                                        "tags": ["information_source"]}
    assert "webhook-id" not in request.headers


def test_redirects_are_not_followed(driver, http_server):
    with HttpServer() as other:
        for status in (301, 302, 307, 308):
            http_server.respond = (status, {"Location": other.url}, b"")
            one = driver.run("webhook", {"url": http_server.url}).only
            assert one.outcome == "retry" and one.code == status and "redirect" in one.reason
        assert not other.requests


@pytest.mark.parametrize("what,outcome", [("silent", "retry"), ("drop", "retry"), ("garbage", "retry"), ("dribble", "retry"),
                                          ("endless", "delivered")])
def test_rude_servers(driver, http_server, what, outcome):
    http_server.respond = what
    start = time.monotonic()
    # only the one that is delivered has to be done with before its time is over
    one = driver.run("webhook", {"url": http_server.url}, "--deadline", 3000 if outcome == "retry" else 20000).only
    assert one.outcome == outcome, one.reason
    assert time.monotonic() - start < 30


def test_certificates_are_checked(driver, ca):
    with HttpServer(context=ca.server_context()) as server:
        one = driver.run("webhook", {"url": server.url}).only
        assert one.outcome == "retry" and "certificate" in one.reason and not server.requests
        assert driver.run("webhook", {"url": server.url, "ca_file": ca.ca}).only.outcome == "delivered"
        named = server.url.replace("127.0.0.1", "localhost")
        assert driver.run("webhook", {"url": named, "ca_file": ca.ca}).only.outcome == "delivered"


def test_nobody_listens(driver):
    assert driver.run("webhook", {"url": f"http://127.0.0.1:{free_port()}/"}).only.outcome == "retry"
    assert "resolve" in driver.run("webhook", {"url": "http://no.such.host.invalid/"}).only.reason


def test_proxies_of_the_environment_are_ignored(driver, http_server):
    with HttpServer() as proxy:
        env = {"http_proxy": proxy.url, "all_proxy": proxy.url}
        assert driver.run("webhook", {"url": http_server.url}, env=env).only.outcome == "delivered"
        assert not proxy.requests


def test_files_for_long_values(driver, http_server, place):
    secret, key = webhook_secret()
    (place / "url").write_text(http_server.url + "\n")
    (place / "secret").write_text(secret + "\n")
    (place / "headers").write_text("# two\nAuthorization: Bearer " + "x" * 3000 + "\nX-Two: 2\n")
    files = {"url_file": place / "url", "secret_file": place / "secret", "header_file": place / "headers"}
    assert driver.run("webhook", files).only.outcome == "delivered"
    verify_signature(http_server.requests[0], key)
    assert len(http_server.requests[0].headers["authorization"]) == 3007


def test_a_large_document(driver, http_server, place):
    document = json.dumps({"a": ["\\\"\n" * 10] * 100000})
    assert 6 << 20 < len(document) < 7 << 20  # JSON in JSON: twice that on the wire
    (place / "document").write_text(document)
    assert driver.run("webhook", {"url": http_server.url}, "--document", f"@{place}/document").only.outcome == "delivered"
    assert http_server.requests[0].body.decode() == document
    (place / "document").write_text(document * 2)
    assert driver.refused_size("webhook", {"url": http_server.url}, "--document", f"@{place}/document")


@pytest.mark.parametrize("change,fault", [
    ({"url": "ftp://x"}, "2: [notifier:drive] url: is not a URL like https://example.com/hook"),
    ({"url": "https://"}, "2: [notifier:drive] url: is not a URL like https://example.com/hook"),
    ({"url": "https://x/a b"}, "2: [notifier:drive] url: is not a URL like https://example.com/hook"),
    ({"secret": "abc"}, "3: [notifier:drive] secret: is not whsec_ and base64 of 24 to 64 bytes"),
    ({"format": "teams"}, "3: [notifier:drive] format: is not cloudevents, slack, discord or ntfy"),
    ({"format": "slack", "secret": "whsec_" + "A" * 32},
     "4: [notifier:drive] secret: signs cloudevents; slack checks no signatures: leave it out"),
    ({"format": "ntfy"}, None),
    ({"format": "ntfy", "url": "https://ntfy.sh/"},
     "2: [notifier:drive] url: is not an ntfy topic's URL like https://ntfy.example.com/TOPIC"),
    ({"format": "ntfy", "url": "https://ntfy.sh/a/b"},
     "2: [notifier:drive] url: is not an ntfy topic's URL like https://ntfy.example.com/TOPIC"),
    ({"header": "no colon"}, '3: [notifier:drive] header: is not like "Name: value"'),
    ({"header": "Empty:  "}, "3: [notifier:drive] header: has no value"),
    ({"header": "X: a\rBcc: b"}, "3: [notifier:drive] header: holds a control character"),
    ({"header": "Content-Type: text/plain"}, "3: [notifier:drive] header: this header is portwatch's own"),
    ({"header": "Webhook-Id: 1"}, "3: [notifier:drive] header: the webhook- headers are portwatch's own"),
    ({"colour": "red"}, "3: [notifier:drive] colour: unknown key for plugin webhook"),
])
def test_configuration_faults(driver, change, fault):
    lines = driver.check("webhook", {"url": "https://example.com/hook", **change})
    assert lines == (["driver.conf:" + fault] if fault else [])


def test_the_second_header_has_its_own_line(driver):
    lines = driver.check("webhook", [("url", "https://x/"), ("header", "A: 1"), ("header", "B")])
    assert lines == ['driver.conf:4: [notifier:drive] header: is not like "Name: value"']
    assert driver.check("webhook", {}) == ["driver.conf:1: [notifier:drive] url: is required by plugin webhook"]
