"""What is posted to Slack, Discord and ntfy, against schemas made after these services' documentation."""

import contextlib
import json
import re

import jsonschema
import pytest

from harness import ROOT, config_text, hook_section, wait_until
from servers import HttpServer

SCHEMAS = ROOT / "tests/fixtures/schemas"
# As each service takes a message.
TAKEN = {"slack": (200, {"Content-Type": "text/html"}, b"ok"), "discord": (204, {}, b""),
         "ntfy": (200, {"Content-Type": "application/json"}, b'{"id":"x","event":"message"}')}
HOSTILE = "<!channel> @everyone <@1> ```*x* _y_ [a](https:evil)"


def body_of(request):
    assert request.method == "POST" and request.headers["content-type"] == "application/json"
    return json.loads(request.body)


def check(kind, request):
    """One posted body: valid by the schema, and what a schema cannot say."""
    body = body_of(request)
    schema = json.loads((SCHEMAS / f"{kind}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(body)
    if kind == "slack":
        assert request.path == "/hook"
        texts = [b["text"]["text"] for b in body["blocks"] if b["type"] == "section"]
    elif kind == "discord":
        assert request.path == "/hook"
        texts = [e["description"] for e in body["embeds"]]
        assert sum(map(len, texts)) <= 6000
        assert not re.search(r"[*_~`|\[\]()<>@:]", re.sub(r"\\[!-/:-@\[-`{-~]", "", body["content"])), body["content"]
    else:
        # to the root of the server, whose topic the url names
        assert request.path == "/" and body["topic"] == "hook"
        assert len(body["message"].encode()) <= 4096 and len(request.body) <= 8192
        return body
    for text in texts:
        # one block of code, which nothing in it ends
        assert re.fullmatch(r"(?s)```\n(?:(?!```).)+\n```", text), text
    return body


def text_of(kind, body):
    """All that people are shown, unescaped."""
    if kind == "slack":
        text = "\n".join([body["text"], *(b["text"]["text"] for b in body["blocks"])])
        for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            text = text.replace(entity, character)
    elif kind == "discord":
        text = "\n".join([re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", body["content"]), *(e["description"] for e in body["embeds"])])
    else:
        text = body["title"] + "\n" + body["message"]
    return text.replace("\u200b", "")


@pytest.fixture
def services(netns):
    with contextlib.ExitStack() as stack:
        found = {kind: stack.enter_context(HttpServer()) for kind in TAKEN}
        for kind, server in found.items():
            server.respond = TAKEN[kind]
        yield found


def test_what_is_posted_is_what_the_services_document(watch, listeners, services):
    sections = "".join(hook_section(server, name=kind, format=kind, group_wait="1s") for kind, server in services.items())
    running = watch(config_text({"settle": "500ms", "settle_closed": "500ms"}, sections))

    def everywhere(pattern):
        """The first body of each that says so."""
        found = {}
        for kind, server in services.items():
            bodies = [body_of(request) for request in list(server.requests)]
            found[kind] = next((b for b in bodies if re.search(pattern, text_of(kind, b))), None)
        return all(found.values()) and found

    def told(pattern):
        return wait_until(lambda: everywhere(pattern), what=lambda: (pattern, running.tail()))

    assert told(r"watching \d+ ports?")["ntfy"]["tags"] == ["information_source"]
    assert running.cli("test").returncode == 0
    assert told(r"This is a test")["ntfy"]["priority"] == 3

    holder = listeners.start("tcp@0.0.0.0@8080", name="hostile", argv0=HOSTILE, comm="<!here>")
    # a path of the attacker's choice is what a message names
    evil = listeners.start("tcp@0.0.0.0@8081", name=HOSTILE.replace("/", ":"))
    opened = told(r"8081/tcp")
    for kind, body in opened.items():
        assert HOSTILE in text_of(kind, body), (kind, body)
        assert "Seen:" in text_of(kind, body)
    assert opened["ntfy"]["priority"] == 4 and opened["ntfy"]["tags"] == ["warning"]

    # more than any of them takes in one message
    many = listeners.start(*(f"tcp@0.0.0.0@{port}" for port in range(9000, 9400)), name="many")
    for kind, body in told(r"\(\d+ more lines did not fit here; on the host: portwatch status").items():
        assert re.search(r"\d+ ports changed: 9\d+/tcp", text_of(kind, body)) and "Seen:" in text_of(kind, body), body
    for process in (holder, evil, many):
        listeners.stop(process)
    resolved = told(r"^\[\S+\] RESOLVED")
    assert resolved["ntfy"]["tags"] == ["white_check_mark"] and resolved["discord"]["embeds"][0]["color"] == 0x388E3C
    wait_until(lambda: not any(n["waiting"] for n in running.json("status")["notifiers"]), what=running.tail)
    assert not any(n["last_error"] or n["refused"] for n in running.json("status")["notifiers"])
    for kind, server in services.items():
        for request in server.requests:
            check(kind, request)
