"""What is accepted for a time, ahead, and taken back: the versions of the baseline, in one daemon."""

import datetime
import json
import re

from harness import FAST, wait_until


def tokens(watch):
    return {i["subject"]: i["incident"] for i in watch.json("status")["incidents"]}


def told(watch, subject):
    return wait_until(lambda: tokens(watch).get(subject), what=lambda: f"{subject} is not told\n{watch.tail()}")


def versions(watch, *port):
    lines = watch.cli("baseline", "log", *port, "--json").stdout
    return [json.loads(line) for line in lines.splitlines()]


def expected(watch):
    return {(e["protocol"], e["port"]) for e in watch.json("baseline", "show")["endpoints"]}


def lent(watch):
    return {i["subject"]: i for i in watch.json("status")["accepted_until"]}


def test_loans_approvals_and_versions(watch, listeners):
    """A loan survives kill -9 and returns; what was approved ahead stays; every change is a version to go back to."""
    web = listeners.start("tcp@127.0.0.1@80")
    running = watch(FAST + "unlisted_local = alert\n")
    learned = versions(running)
    assert [v["kind"] for v in learned] == ["learned"] and learned[0]["by"] is None
    first = learned[0]["version"]

    # nothing to accept; a time that is past; what is no time
    assert running.cli("accept", "8443/tcp").returncode == 2
    assert running.cli("accept", "8443/tcp", "--until", "2001-01-01 10:00").returncode == 2
    assert running.cli("accept", "8443/tcp", "--until", "soon").returncode == 64
    assert running.cli("accept", "8443/tcp", "--until", "1000d").returncode == 2
    assert len(versions(running)) == 1 and not lent(running)

    # a loan, for longer than this test; then the daemon dies
    listeners.start("tcp@127.0.0.1@8080")
    token = told(running, "tcp/8080")
    answer = running.cli("accept", token, "--until", "2h", "--reason", "a demo", "--json")
    assert answer.returncode == 0, answer
    until = datetime.datetime.fromisoformat(json.loads(answer.stdout)["until"].replace("Z", "+00:00"))
    left = (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 3600 < left <= 7200
    assert not tokens(running)
    running.wait_log(r"8080/tcp accepted until .* by ")
    running.kill()
    running.start()
    loan = lent(running)["tcp/8080"]
    assert loan["reason"] == "a demo" and not loan["ahead"] and ("tcp", 8080) in expected(running)
    assert "a demo" in running.cli("status").stdout
    assert re.search(r":8080 .*match, accepted until", running.cli("list").stdout)
    by = loan["by"]
    assert by

    # shorter, with the daemon dead at the end of it: then it is told again
    assert running.cli("accept", "8080/tcp", "--until", "1s").returncode == 0
    running.kill()
    running.start()
    told(running, "tcp/8080")
    assert not lent(running) and ("tcp", 8080) not in expected(running)
    assert [v["kind"] for v in versions(running, "8080/tcp")] == ["accepted", "expired"]

    # approved ahead: what opens stays accepted, no incident and no event for it
    said = running.cli("accept", "8443/tcp", "--until", "3h", "--reason", "the release")
    assert said.returncode == 0 and "what changes there until" in said.stdout, said
    assert running.cli("accept", "8443/tcp").returncode == 2
    release = listeners.start("tcp@0.0.0.0@8443")
    wait_until(lambda: ("tcp", 8443) in expected(running), what=running.tail)
    kinds = [json.loads(line)["kind"] for line in running.history("8443/tcp", "--json").splitlines()]
    assert kinds == ["accepted", "accepted"], kinds
    version = versions(running, "8443/tcp")
    assert [(v["kind"], v["by"], v["reason"]) for v in version] == [("accepted", by, "the release")]
    assert lent(running)["tcp/8443"]["ahead"]
    assert running.cli("accept", "8443/tcp", "--until", "1s").returncode == 0
    wait_until(lambda: not lent(running), what=running.tail)
    assert ("tcp", 8443) in expected(running) and "tcp/8443" not in tokens(running)

    # for good, and back to what was learned: told once more, in a new version
    assert running.cli("accept", "8080/tcp", "--reason", "kept").returncode == 0
    assert not tokens(running)
    assert running.cli("baseline", "diff", str(first)).returncode == 1
    assert running.cli("baseline", "diff", "9999").returncode == 2
    assert running.cli("baseline", "revert", "9999").returncode == 2
    assert running.cli("baseline", "revert", "x").returncode == 64
    assert running.cli("baseline", "revert", str(first), "8080/tcp", "--reason", "a mistake").returncode == 0
    told(running, "tcp/8080")
    assert ("tcp", 8443) in expected(running)
    assert running.cli("baseline", "revert", str(first)).returncode == 0
    told(running, "tcp/8443")
    last = versions(running)[-1]
    assert last["kind"] == "reverted" and last["by"] == by and f"version {first}" in last["reason"]
    same = running.cli("baseline", "diff", str(first), "--json")
    assert same.returncode == 0 and json.loads(same.stdout)["after"] == []
    assert running.cli("baseline", "revert", str(first)).returncode == 0
    assert versions(running)[-1] == last
    numbers = [v["version"] for v in versions(running)]
    assert numbers == sorted(set(numbers))
    listeners.stop(release)
    listeners.stop(web)


def test_who_asks(watch, listeners, monkeypatch):
    """The name of SUDO_USER is root's word alone; who cannot write the database cannot ask at all."""
    listeners.start("tcp@0.0.0.0@80")
    running = watch(FAST)
    listeners.start("tcp@0.0.0.0@81")
    token = told(running, "tcp/81")
    monkeypatch.setenv("SUDO_USER", "mallory")
    refused = running.cli("accept", token, user=65534, group=65534, extra_groups=[])
    assert refused.returncode == 2 and tokens(running)
    assert running.cli("accept", token).returncode == 0
    assert versions(running, "81/tcp")[-1]["by"].startswith("mallory")


def test_a_golden_baseline_travels(watch, listeners, place):
    """What one host exports another one imports; what it exports then is the same."""
    listeners.start("tcp@0.0.0.0@80", name="web")
    listeners.start("udp@127.0.0.1@53", "tcp@127.0.0.1@53", name="dns")
    one = watch(FAST)
    golden = place / "golden.conf"
    said = one.cli("baseline", "export")
    assert said.returncode == 0 and "[port:80/tcp]\naddress = 0.0.0.0\n" in said.stdout, said
    golden.write_text(said.stdout)
    assert one.cli("check-config", str(golden)).returncode == 0
    same = one.cli("baseline", "import", str(golden))
    assert same.returncode == 0 and "already" in same.stdout, same
    assert [v["kind"] for v in versions(one)] == ["learned"]
    # a host that has learned something else, where the file makes it right and where it makes it wrong
    assert one.cli("accept", "8443/tcp", "--until", "1h").returncode == 0
    other = golden.with_name("other.conf")
    other.write_text(said.stdout.replace("address = 0.0.0.0", "address = 127.0.0.1") + "[port:99/udp]\naddress = ::\n")
    taken = one.cli("baseline", "import", str(other), "--reason", "the golden one")
    assert taken.returncode == 0 and "80/tcp" in taken.stdout and "99/udp" in taken.stdout, taken
    assert "53/" not in taken.stdout
    last = versions(one)[-1]
    assert last["kind"] == "imported" and str(other) in last["reason"] and "the golden one" in last["reason"]
    exported = one.cli("baseline", "export").stdout
    assert "[port:80/tcp]\naddress = 127.0.0.1\n" in exported and "[port:99/udp]\naddress = ::\n" in exported
    told(one, "tcp/80")
    told(one, "udp/99")
    assert one.cli("baseline", "import", "-", stdin=said.stdout).returncode == 0
    wait_until(lambda: "tcp/80" not in tokens(one), what=one.tail)
    golden.write_text(exported)
    assert one.cli("baseline", "import", str(golden)).returncode == 0
    assert one.cli("baseline", "export").stdout == exported
    # mistakes, with file and line; nothing changes
    before = versions(one)
    for text, line, word in (("[port:80/tcp]\naddress = nowhere\n", 2, "address"), ("[port:80/tcp]\n", 1, "no address"),
                             ("[port:80/tcp]\naddress = ::\nname = x\n", 3, "name"), ("\n[ignore:x]\nport = 80\n", 2, "port:"),
                             ("[port:80/tcp]\naddress = ::\nuser = nobody-here\n", 1, "nobody-here"),
                             ("[port:40000/tcp]\naddress = ::\n", 1, "ephemeral"), ("# nothing\n", 1, "no [port")):
        golden.write_text(text)
        refused = one.cli("baseline", "import", str(golden))
        assert refused.returncode == 2 and re.search(rf"golden.conf:{line}: .*{re.escape(word)}", refused.stderr), refused
    golden.write_bytes(b"[port:80/tcp]\nexe = /\xff\n")
    assert one.cli("baseline", "import", str(golden)).returncode == 2
    assert one.cli("baseline", "import", str(place / "absent")).returncode == 2
    assert versions(one) == before
