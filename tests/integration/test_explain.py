"""`portwatch explain` in situations that people are called for: the finding that decides, the exit code, the one command
that comes next. Real sockets in a network namespace that has an address beside loopback."""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from harness import FAST, SANITIZER, SLOW, config_text, wait_until

WELL, NOT, UNKNOWN = 0, 1, 2
NOT_IN_TIME = re.compile(r"portwatch-cause[^\"]*(in time|timed out)")
HOST = "10.9.9.1"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NFT = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
needs_nft = pytest.mark.skipif(not NFT, reason="nft is not installed")
AS_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture
def host(netns):
    """An interface that is up, with an IPv4 and an IPv6 address."""
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    ip("link", "set", "eth0", "up")
    ip("link", "set", "far0", "up")
    ip("address", "add", f"{HOST}/24", "dev", "eth0")
    ip("address", "add", "2001:db8::1/64", "dev", "eth0", "nodad")


class Told:
    def __init__(self, status, document):
        self.status, self.document = status, document
        self.next = document["next"]
        assert document["exit"] == status

    def of(self, protocol="tcp"):
        return next(c for c in self.document["protocols"] if c["protocol"] == protocol)

    def kinds(self, protocol="tcp"):
        return [finding["kind"] for finding in self.of(protocol)["findings"]]

    def decides(self, protocol="tcp"):
        """What is told first, and how heavy it is."""
        finding = self.of(protocol)["findings"][0]
        assert self.of(protocol)["summary"] == finding["text"]
        return finding["kind"], finding["weight"]

    def text(self, kind, protocol="tcp"):
        return next(f["text"] for f in self.of(protocol)["findings"] if f["kind"] == kind)


@pytest.fixture
def explain(programs, place, host):
    """explain(port) -> Told, with no daemon and no state unless `watch` is given one; checks both forms of output."""
    empty = place / "empty.conf"
    empty.write_text("")

    def run(port, watch=None, wrapper=(), state=None, config=None):
        config = config or (watch.config if watch else empty)
        state = state or (watch.state if watch else place / "absent")
        command = [*wrapper, str(programs.cli), "--config", str(config), "--state-dir", str(state), "--cause-program",
                   str(programs.cause), "explain", str(port)]
        def both():
            return [subprocess.run([*command, *more], capture_output=True, text=True, errors="replace", timeout=180 * SLOW)
                    for more in ((), ("--json",))]

        human, machine = both()
        for _ in range(10):
            # that nothing was heard in two seconds is right to say; what would have been heard is asked for here
            if not NOT_IN_TIME.search(human.stdout + machine.stdout):
                break
            human, machine = both()
        for result in (human, machine):
            assert not SANITIZER.search(result.stderr), result.stderr
            assert not CONTROLS.search(result.stdout), repr(result.stdout)
        told = Told(machine.returncode, json.loads(machine.stdout))
        print(human.stdout)
        # the same is said to people, and one command at the end; other tests' namespaces come and go meanwhile
        assert human.returncode == told.status
        assert "aspect" not in human.stdout and "surface" not in human.stdout
        said = re.findall(r"(?m)^next +(.*)$", human.stdout)
        assert len(said) == 1, human.stdout
        assert said == [told.next] or "nsenter" in said[0] + told.next
        return told

    return run


@pytest.fixture
def watched(watch, host, listeners):
    """watched(sections) -> a portwatchd that has learned what listens by then. What changes does not become an incident
    between one question and the next, unless the test has it so."""

    def start(sections="", **keys):
        one = watch(config_text({"settle": "1h", "settle_closed": "1h", **keys}, sections))
        wait_until(lambda: one.json("status")["baseline"]["learned"], 15, "learned")
        return one

    return start


# ---- nothing is bound


def test_an_application_that_crashed(explain, watched, listeners):
    app = listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    listeners.stop(app, kill=True)
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("closed", "fault")
    case = told.of()
    assert case["endpoints"] == []
    assert [e["address"] for e in case["expected"]] == ["0.0.0.0"]
    assert case["before"]["exe"].endswith("/myapp") and case["before"]["pid"] == app.pid
    assert case["cause"]["process"] == "gone"


def test_a_process_that_lives_and_has_closed_its_socket(explain, watched, listeners):
    code = "import socket,sys\ns=socket.create_server(('0.0.0.0',7071))\nprint('ready',flush=True)\n" \
           "sys.stdin.readline()\ns.close()\nprint('closed',flush=True)\nsys.stdin.readline()"
    app = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert app.stdout.readline() == "ready\n"
        watch = watched()
        app.stdin.write("\n")
        app.stdin.flush()
        assert app.stdout.readline() == "closed\n"
        told = explain(7071, watch)
        assert told.status == NOT and told.decides() == ("closed", "fault")
        assert told.of()["cause"]["process"] == "alive"
        assert re.search("alive", told.of()["summary"])
    finally:
        app.kill()
        app.communicate()


def test_an_unlisted_port_that_nobody_ever_held(explain, watched):
    told = explain(7071, watched())
    assert told.status == NOT and told.decides() == ("closed", "fault")
    assert "nothing is expected there" in told.of()["summary"]
    assert told.of()["before"] is None


def test_history_knows_who_held_it_where_the_baseline_forgot(explain, watched, listeners):
    watch = watched(settle="1s", settle_closed="1s")
    app = listeners.start("tcp@0.0.0.0@7071", name="guest")
    wait_until(lambda: watch.json("status")["incidents"], 15, "told")
    listeners.stop(app)
    wait_until(lambda: not watch.json("status")["incidents"], 15, "resolved")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides()[0] == "closed"
    assert told.of()["expected"] == [] and told.of()["before"]["exe"].endswith("/guest")


def test_closed_as_the_configuration_states(explain, watched):
    watch = watched("[port:7071/tcp]\nexpect = closed\n")
    told = explain(7071, watch)
    assert told.status == WELL and told.decides() == ("closed", "well")
    assert f"{watch.config}:" in told.of()["summary"]


def test_a_program_that_moved_to_another_port(explain, watched, listeners):
    app = listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    listeners.stop(app)
    listeners.start("tcp@0.0.0.0@7072", name="myapp")
    told = explain(7071, watch)
    assert told.status == NOT and "moved" in told.kinds()
    assert told.next == "portwatch explain 7072"


def test_a_port_in_another_network_namespace(explain, programs):
    # tests that run beside this one have namespaces too, and are seen: a port that is nobody else's
    port = 20000 + os.getpid() % 10000
    other = subprocess.Popen(["unshare", "--net", programs.holder, f"tcp@0.0.0.0@{port}", f"udp@::@{port}"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"ready\n"
        told = explain(f"{port}/tcp")
        assert told.status == NOT and told.decides()[0] == "closed"
        found = told.of()["elsewhere"]
        assert [(e["pid"], e["address"], e["comm"]) for e in found] == [(other.pid, "0.0.0.0", "holder")]
        assert told.next == f"sudo nsenter -t {other.pid} -n ss -tlnp 'sport = :{port}'"
        assert [e["address"] for e in explain(f"{port}/udp").of("udp")["elsewhere"]] == ["::"]
        # who may not look there says so
        seen_by_nobody = explain(port, wrapper=AS_NOBODY)
        assert seen_by_nobody.of()["elsewhere"] == [] and seen_by_nobody.of()["namespaces_unseen"] > 0
        assert "namespace-unseen" in seen_by_nobody.kinds()
    finally:
        other.kill()
        other.communicate()


def test_an_ephemeral_port(explain, watched, listeners):
    app = listeners.start("tcp@0.0.0.0@40123", name="rpc")
    watch = watched()
    told = explain(40123, watch)
    assert told.status == WELL and told.decides() == ("open", "well") and "ephemeral" in told.kinds()
    listeners.stop(app)
    told = explain(40123, watch)
    assert told.status == NOT and "32768-60999" in told.text("ephemeral")
    assert told.of()["before"]["exe"].endswith("/rpc")


# ---- bound, and still not reached


def test_on_loopback_only_while_expected_wider(explain, watched, listeners):
    app = listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    listeners.stop(app)
    listeners.start("tcp@127.0.0.1@7071", name="myapp")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("loopback", "fault")
    assert "this host only" in told.of()["summary"] and "all IPv4 addresses" in told.of()["summary"]


def test_one_of_its_addresses_is_gone(explain, watched, listeners):
    listeners.start(f"tcp@{HOST}@7071", name="myapp")
    second = listeners.start("tcp@127.0.0.1@7071", name="myapp")
    watch = watched()
    listeners.stop(second)
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("address", "fault")
    assert told.next == "portwatch diff 7071"


def test_on_loopback_as_expected(explain, watched, listeners):
    listeners.start("tcp@127.0.0.1@7071", name="myapp")
    told = explain(7071, watched())
    assert told.status == WELL and told.decides() == ("open", "well")
    assert told.next == "nc -vz -w 3 127.0.0.1 7071"


def test_a_full_backlog(explain, watched):
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", 7071))
        server.listen(1)
        watch = watched()
        assert explain(7071, watch).status == WELL
        clients = [socket.create_connection(("127.0.0.1", 7071)) for _ in range(2)]
        # the listener's half of it is done a moment later, perhaps
        wait_until(lambda: subprocess.run(["ss", "-Hltn", "sport = :7071"], capture_output=True, text=True).stdout.split()[1] == "2")
        told = explain(7071, watch)
        assert told.status == NOT and told.decides() == ("backlog", "fault")
        assert told.of()["endpoints"][0]["backlog"] == {"waiting": 2, "limit": 1, "full": True}
        server.accept()[0].close()
        assert explain(7071, watch).status == WELL
        for client in clients:
            client.close()


def test_a_stopped_process(explain, watched, listeners):
    app = listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    app.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: pathlib.Path(f"/proc/{app.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", 10)
        told = explain(7071, watch)
        assert told.status == NOT and told.decides() == ("stopped", "fault")
        assert told.next == f"sudo kill -CONT {app.pid}"
    finally:
        app.send_signal(signal.SIGCONT)
    wait_until(lambda: explain(7071, watch).status == WELL, 10)


def test_held_by_another_program(explain, watched, listeners):
    app = listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    listeners.stop(app)
    other = listeners.start("tcp@0.0.0.0@7071", name="squatter")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("owner", "fault")
    assert re.search(r"held by \S*squatter.*expected is \S*myapp", told.of()["summary"])
    assert told.next == f"ps -fp {other.pid}"


def test_held_by_another_program_than_the_configuration_states(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="squatter")
    told = explain(7071, watched("[port:7071/tcp]\nexe = /usr/bin/myapp\n"))
    assert told.status == NOT and told.decides()[0] == "owner"
    assert "expected is /usr/bin/myapp" in told.of()["summary"]


def test_open_though_it_is_stated_closed(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="telnetd")
    told = explain(7071, watched("[port:7071/tcp]\nexpect = closed\n"))
    assert told.status == NOT and told.decides() == ("unexpected", "fault")


def test_for_ipv6_only(explain, watched, listeners):
    listeners.start("tcp@::@7071@v6only", name="six")
    told = explain(7071)
    assert told.status == UNKNOWN and told.decides()[0] in ("v6only", "expectation-unknown")
    assert "IPv4" in told.text("v6only")
    told = explain(7071, watched())
    assert told.status == WELL and "v6only" in told.kinds()
    listeners.start("tcp@::@7073@dual", name="both")
    assert "v6only" not in explain(7073).kinds()


def test_for_ipv4_only_while_the_name_stands_for_ipv6_too(explain, listeners, place):
    listeners.start("tcp@0.0.0.0@7071", name="four")
    (place / "hosts").write_text(f"127.0.0.1 localhost\n{HOST} web7\n2001:db8::1 web7\n")
    named = ("unshare", "--uts", "--mount", "sh", "-c",
             f'hostname web7 && mount --bind {place}/hosts /etc/hosts && exec "$@"', "sh")
    told = explain(7071, wrapper=named)
    assert "v4only" in told.kinds()
    (place / "hosts").write_text(f"127.0.0.1 localhost\n{HOST} web7\n")
    assert "v4only" not in explain(7071, wrapper=named).kinds()


def test_bound_to_a_device(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071@dev=eth0", name="bound")
    watch = watched()
    told = explain(7071, watch)
    assert told.status == WELL and "eth0" in told.text("device")
    ip("link", "set", "eth0", "down")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("device", "fault")
    assert told.next == "ip -br address"


def test_bound_to_an_address_that_left(explain, watched, listeners):
    listeners.start(f"tcp@{HOST}@7071", name="bound")
    watch = watched()
    assert explain(7071, watch).status == WELL
    ip("address", "del", f"{HOST}/24", "dev", "eth0")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("address-gone", "fault") and HOST in told.of()["summary"]


def test_an_ephemeral_udp_port_is_compared_with_nothing(explain, watched, listeners):
    listeners.start("udp@0.0.0.0@40123", name="client")
    told = explain("40123/udp", watched())
    assert told.status == WELL and told.decides("udp") == ("ignored", "well")


def test_a_host_without_an_address(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    ip("link", "del", "eth0")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("host", "fault")


def test_nobody_expects_it(explain, watched, listeners):
    watch = watched()
    listeners.start("tcp@0.0.0.0@7071", name="guest")
    told = explain(7071, watch)
    assert told.status == NOT and told.decides() == ("unexpected", "fault")
    assert told.next == 'sudo portwatch accept 7071/tcp --reason "..."'
    watch.reloaded(config_text(), "configuration reloaded")
    token = wait_until(lambda: watch.json("status")["incidents"], 15, "told")[0]["incident"]
    told = explain(7071, watch)
    assert told.of()["incident"] == token and token in told.next


# ---- all is well, as far as it can be told


def test_two_listeners_share_it(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071@reuseport", name="one")
    listeners.start("tcp@0.0.0.0@7071@reuseport", name="two")
    told = explain(7071, watched())
    assert told.status == WELL and told.decides() == ("open", "well") and "shared" in told.kinds()
    assert told.of()["endpoints"][0]["count"] == 2
    assert told.next == f"nc -vz -w 3 {HOST} 7071"


def test_udp_and_tcp_of_one_number(explain, watched, listeners):
    listeners.start("udp@0.0.0.0@7071", "tcp@127.0.0.1@7072", "udp@127.0.0.1@7072", name="names")
    watch = watched()
    told = explain(7071, watch)
    assert [c["protocol"] for c in told.document["protocols"]] == ["udp"]
    assert told.status == WELL and told.next == f"nc -vzu -w 3 {HOST} 7071"
    assert told.of("udp")["endpoints"][0]["backlog"] is None
    assert [c["protocol"] for c in explain(7072, watch).document["protocols"]] == ["tcp", "udp"]
    # of TCP there is nothing, and that is asked here
    assert explain("7071/tcp", watch).status == NOT


def test_ports_by_name(explain, listeners, programs):
    listeners.start("tcp@0.0.0.0@443", name="web")
    for name in ("https", "https/tcp", "tcp/https"):
        assert explain(name).document["port"] == 443
    for name in ("tcp/ephemeral", "0", "nonsense", "70000"):
        result = subprocess.run([programs.cli, "explain", name], capture_output=True, text=True)
        assert result.returncode == 64 and result.stderr, name


def test_within_a_range_of_the_configuration(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@8003", name="web")
    watch = watched("[port:8000-8010/tcp]\nname = workers\nexpect = open\n")
    assert explain(8003, watch).status == WELL
    told = explain(8004, watch)
    assert told.status == NOT and told.decides()[0] == "closed"
    assert f"{watch.config}:" in told.of()["summary"] and "open" in told.of()["summary"]


def test_an_ignored_port(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="noise")
    watch = watched("[ignore:noise]\nport = 7071/tcp\n")
    told = explain(7071, watch)
    assert told.status == WELL and told.decides() == ("ignored", "well")
    assert f"{watch.config}:" in told.of()["summary"]


def test_without_a_daemon_and_its_database(explain, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    told = explain(7071)
    assert told.status == UNKNOWN and told.decides() == ("expectation-unknown", "unknown")
    assert told.document["no_baseline"] and told.of()["expectation_known"] is False


def test_the_daemon_stopped_and_its_database_is_there(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    watch.stop()
    assert explain(7071, watch).status == WELL


def test_without_root(explain, watched, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    told = explain(7071, watch, wrapper=AS_NOBODY)
    assert told.status == UNKNOWN and "owner-unseen" in told.kinds()
    assert told.next == "sudo portwatch explain 7071"
    assert told.document["no_baseline"]
    assert told.of()["endpoints"][0]["address"] == "0.0.0.0"
    # a state directory that others may read is enough for the rest
    told = explain(9, watch, wrapper=AS_NOBODY)
    assert told.status == NOT and told.of()["expectation_known"] is False


def test_a_configuration_with_a_mistake(explain, watched, listeners, place):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    watch = watched()
    bad = place / "bad.conf"
    bad.write_text("[portwatch]\nintervall = 2s\n")
    told = explain(7071, watch, config=bad)
    assert told.status == UNKNOWN and told.document["no_configuration"]
    assert told.next == "sudo portwatch check-config"


def test_hostile_names(explain, programs, listeners, place):
    name = 'x\r\nBcc: a@b\x1b[2J"</script>\u202e'.encode()
    path = os.fsencode(place) + b"/bin/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(os.fsencode(programs.holder), path)
    process = subprocess.Popen([name, b"-c", name[:15], b"tcp@0.0.0.0@7071"], executable=path, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    listeners._processes.append(process)
    assert process.stdout.readline() == b"ready\n"
    told = explain(7071)  # which looks for control characters in all that is said
    assert told.of()["endpoints"][0]["owner"]["pid"] == process.pid
    assert "\\x1b" in told.of()["endpoints"][0]["owner"]["exe"]


def test_colours_only_on_a_terminal(explain, programs, listeners, place):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    command = [str(programs.cli), "--state-dir", str(place / "absent"), "explain", "7071"]
    assert "\x1b" not in subprocess.run(command, capture_output=True, text=True).stdout
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=slave, stdout=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    data = b""
    while select.select([master], [], [], 30 * SLOW)[0]:
        try:
            part = os.read(master, 65536)
        except OSError:  # nobody writes any more
            break
        data += part
    process.wait()
    os.close(master)
    assert b"\x1b[1m" in data and b"7071/tcp" in data


# ---- the firewall


def nft(*lines):
    subprocess.run([NFT, "-f", "-"], input="\n".join(lines), check=True, text=True)


@needs_nft
def test_rules_that_name_the_port_are_quoted(explain, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    told = explain(7071)
    assert told.document["firewall"]["read"] is True and told.of()["firewall_rules"] == []
    nft("table inet filter {", "set open { type inet_service; flags interval; elements = { 22, 7000-7100 } }",
        "chain input { type filter hook input priority 0; policy drop;",
        'tcp dport 7071 ip saddr 10.0.0.0/8 accept comment "the office"', "tcp dport @open counter accept",
        "tcp dport { 80, 443 } accept", "udp dport 7071 drop", "tcp sport 7071 drop", "}", "}",
        "table ip nat { chain pre { type nat hook prerouting priority -100;", "tcp dport 8080 dnat to 10.0.0.9:7071",
        "}", "}")
    told = explain(7071)
    quotes = [(q["where"], q["rule"], q["policy"]) for q in told.of()["firewall_rules"]]
    assert [rule for _, rule, policy in quotes if policy] == ["type filter hook input priority 0; policy drop;"]
    rules = [rule for _, rule, policy in quotes if not policy]
    assert any("the office" in rule for rule in rules)
    assert any("tcp dport @open" in rule for rule in rules)
    assert any("dnat to 10.0.0.9:7071" in rule for rule in rules)
    assert any("7000-7100" in rule for rule in rules)
    assert not any("udp dport" in rule or "sport" in rule or "443" in rule for rule in rules)
    assert ("inet filter input (input)", rules[1], False) in quotes
    assert "firewall" in told.kinds() and told.status == UNKNOWN  # nothing is judged by it
    told = explain(7072)
    assert "firewall" in told.kinds()  # a range of the set
    assert "firewall" in explain(9).kinds()  # no rule names it, and the policy drops
    assert [q["policy"] for q in explain(9).of()["firewall_rules"]] == [True]


@needs_nft
def test_a_port_that_the_firewall_sends_on(explain, watched, listeners):
    """As a container's published port, which needs no socket here: it is not called closed."""
    watch = watched()
    nft("table ip nat { chain pre { type nat hook prerouting priority -100;", "tcp dport 8080 dnat to 10.0.0.9:7071",
        "}", "}")
    told = explain(8080, watch)
    assert told.status == UNKNOWN and told.decides() == ("forwarded", "unknown")
    assert "dnat to 10.0.0.9:7071" in told.of()["summary"] and told.next == f"nc -vz -w 3 {HOST} 8080"
    assert explain(7071, watch).decides()[0] == "closed"


@needs_nft
def test_a_firewall_that_may_not_be_read(explain, listeners):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    told = explain(7071, wrapper=AS_NOBODY)
    assert told.document["firewall"]["read"] is False
    assert re.search("not permitted|must be root", told.document["firewall"]["reason"])


def without_nft(script, place):
    """A mount namespace in which /usr/sbin has nothing but that nft, or none."""
    empty = place / "sbin"
    empty.mkdir()
    if script is not None:
        (empty / "nft").write_text(script)
        (empty / "nft").chmod(0o755)
    return ("unshare", "--mount", "sh", "-c", f'mount --bind {empty} /usr/sbin && exec "$@"', "sh")


def test_no_nft(explain, listeners, place):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    told = explain(7071, wrapper=without_nft(None, place))
    assert told.document["firewall"] == {"read": False, "reason": "nft is not installed"}


def test_an_nft_that_never_ends_its_output(explain, listeners, place):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    endless = without_nft("#!/bin/sh\nexec yes 'tcp dport 7071'\n", place)
    for _ in range(10):
        told = explain(7071, wrapper=endless)
        # a busy machine may be out of time before it is too long
        if "timed out" not in (told.document["firewall"].get("reason") or ""):
            break
    assert told.document["firewall"]["read"] is False and "too long" in told.document["firewall"]["reason"]
    assert told.decides()[0] == "expectation-unknown"


def test_an_nft_that_hangs(explain, listeners, place):
    listeners.start("tcp@0.0.0.0@7071", name="myapp")
    told = explain(7071, wrapper=without_nft("#!/bin/sh\nexec sleep 600\n", place))
    assert told.document["firewall"]["read"] is False and "timed out" in told.document["firewall"]["reason"]


# ---- tables that cannot be read


def test_incomplete_tables(explain, place, listeners):
    """No socket of sock_diag: what is bound cannot be told, and nothing is called closed."""
    source = place / "deny.c"
    source.write_text("""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>
ssize_t recvmsg(int fd, struct msghdr *m, int flags) {
    static ssize_t (*real)(int, struct msghdr *, int);
    if (!real) real = dlsym(RTLD_NEXT, "recvmsg");
    struct sockaddr_nl name; socklen_t length = sizeof name;
    if (getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.nl_family == AF_NETLINK) {
        errno = ENOBUFS;
        return -1;
    }
    return real(fd, m, flags);
}
""")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", place / "deny.so", source, "-ldl"], check=True)
    preload = f"LD_PRELOAD={place / 'deny.so'}"
    # a sanitised build wants its library first; it is told that this one may come before
    told = explain(7071, wrapper=("env", preload, "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"))
    assert told.status == UNKNOWN and told.decides() == ("incomplete", "unknown")
    assert told.of()["complete"] is False
    assert told.next == "sudo ss -tlnp 'sport = :7071'"
