"""`portwatch list --json` against the system's own eyes: ss, row by row, owners included."""

import collections
import ipaddress
import json
import os
import pathlib
import pwd
import re
import socket
import subprocess

import pytest

USERS = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+),fd=\d+\)')
Row = collections.namedtuple("Row", "protocol address port device v6only")


def ss_rows():
    """{Row: [(uid, cgroup, {pid: comm}), one a socket]} of listening TCP and unconnected UDP."""
    text = subprocess.run(["ss", "-H", "-tulnpe"], check=True, capture_output=True, text=True).stdout
    rows = collections.defaultdict(list)
    for line in text.splitlines():
        fields = line.split()
        protocol, local, rest = fields[0], fields[4], " ".join(fields[6:])
        address, port = local.rsplit(":", 1)
        address, _, device = address.strip("[]").partition("%") if not address.startswith("[") else (
            address[1:].partition("]")[0].partition("%")[0], "", address.partition("%")[2].rstrip("]"))
        only = re.search(r"\bv6only:(\d)", rest)
        v6only = bool(only and only.group(1) == "1")
        if address == "*":
            address = "::"
        if ":" not in address:
            v6only = False
        uid = re.search(r"\buid:(\d+)", rest)
        cgroup = re.search(r"\bcgroup:(\S+)", rest)
        rows[Row(protocol, str(ipaddress.ip_address(address)), int(port), device, v6only)].append(
            (int(uid.group(1)) if uid else 0, cgroup.group(1) if cgroup else None,
             {int(pid): comm for comm, pid in USERS.findall(rest)}))
    return rows


def udplite_rows():
    """The same of /proc/net/udplite, which ss does not read: {Row: number of sockets}."""
    rows = collections.Counter()
    for name, family, size in (("udplite", socket.AF_INET, 8), ("udplite6", socket.AF_INET6, 32)):
        for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "07":
                continue
            text, port = fields[1].split(":")
            raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, size, 8))
            rows[("udplite", str(ipaddress.ip_address(raw)), int(port, 16))] += 1
    return rows


def key(endpoint):
    protocol = endpoint["protocol"]
    address = str(ipaddress.ip_address(endpoint["address"]))
    return Row(protocol, address, endpoint["port"], endpoint["device"] or "",
               bool(endpoint["v6only"]) and ":" in address)


def started(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])


def compare(listed):
    """Fails unless the endpoints of `list --json` are exactly what ss shows now."""
    rows = ss_rows()
    shown = {key(e): e for e in listed["endpoints"] if e["protocol"] != "udplite"}
    assert len(shown) == len([e for e in listed["endpoints"] if e["protocol"] != "udplite"]), "an endpoint twice"
    assert set(shown) == set(rows)
    for row, sockets in rows.items():
        endpoint = shown[row]
        assert endpoint["count"] == len(sockets), (row, endpoint)
        holders = {pid: comm for _, _, users in sockets for pid, comm in users.items()}
        owner = endpoint["owner"]
        assert owner, (row, "ss sees", holders)
        assert owner["pid"] in holders, (row, owner, holders)
        pid = owner["pid"]
        # ss stops reading a name at its first bracket
        assert owner["comm"] == pathlib.Path(f"/proc/{pid}/comm").read_text().rstrip("\n"), row
        assert owner["comm"].startswith(holders[pid]), row
        assert owner["exe"] == os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)"), row
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        uid = int(re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.M).group(1))
        assert owner["uid"] == uid, row
        assert owner["user"] == pwd.getpwuid(uid).pw_name, row
        first = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
        assert owner["cmdline"].split(" ")[0] == first, row
        # the longest-lived holder of a socket is the one compared
        assert started(pid) in [min(map(started, users)) for _, _, users in sockets], row
    lite = collections.Counter()
    for e in listed["endpoints"]:
        if e["protocol"] == "udplite":
            lite[("udplite", str(ipaddress.ip_address(e["address"])), e["port"])] += e["count"]
    assert lite == udplite_rows()
    assert listed["complete"] is True


def list_now(programs):
    result = subprocess.run([programs.cli, "list", "--json"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def zoo(listeners):
    """Every kind of socket the comparison has to get right. Keeps Python's own sockets alive until the end."""
    start, kept = listeners.start, []
    start("tcp@0.0.0.0@80", name="web")
    start("tcp@::@443@v6only", name="six")
    start("tcp@::@444@dual", name="both")
    start("tcp@127.0.0.1@5432", "tcp@127.0.0.2@5432", "tcp@::1@5432@v6only", name="addresses")
    start("tcp@0.0.0.0@81", "tcp@::@81@v6only", name="pair")
    start(*["tcp@0.0.0.0@8080@reuseport"] * 4, name="fourfold")
    for _ in range(4):
        start("tcp@::@8081@reuseport,dual", name="fourprocesses")
    start("tcp@0.0.0.0@8082", name="prefork", forks=8)
    start("tcp@0.0.0.0@8083@dev=lo", "tcp@::@8083@dev=lo,v6only", "udp@0.0.0.0@8083@dev=lo", name="bound")
    start("udp@0.0.0.0@53", "udp@::@53@v6only", "udp@::@54@dual", name="names")
    start("udp@127.0.0.1@55@connect=53", "udp@::1@55@connect=53", name="connected")
    start("udplite@127.0.0.1@99", "udplite@::1@99@v6only", "udplite@0.0.0.0@98", name="lite")
    start("tcp@0.0.0.0@88", "udp@0.0.0.0@88", name="nobodys", uid=65534)
    start(*["udp@0.0.0.0@0"] * 20, *["udp@127.0.0.1@0@connect=53"] * 20, name="client")
    start("tcp@0.0.0.0@0", name="ephemeral")
    start("tcp@0.0.0.0@8090", name="fifteen-letters-and-more", comm="odd) S 1 (name")

    server = socket.create_server(("127.0.0.1", 6000), backlog=1024)
    kept.append(server)
    for _ in range(500):
        client = socket.create_connection(("127.0.0.1", 6000))
        kept += [client, server.accept()[0]]
    # an end that closed first stays in TIME_WAIT
    for _ in range(50):
        client = socket.create_connection(("127.0.0.1", 6000))
        peer = server.accept()[0]
        client.close()
        peer.close()
    # with TCP_DEFER_ACCEPT the server's end waits in SYN_RECV for data that never comes
    start("tcp@127.0.0.1@6001@defer", name="deferring")
    for _ in range(10):
        kept.append(socket.create_connection(("127.0.0.1", 6001)))
    yield kept
    for one in kept:
        one.close()


def states():
    text = subprocess.run(["ss", "-H", "-tan"], check=True, capture_output=True, text=True).stdout
    return collections.Counter(line.split()[0] for line in text.splitlines())


def test_list_agrees_with_ss_row_by_row(programs, zoo):
    seen = states()
    assert seen["ESTAB"] >= 1000 and seen["TIME-WAIT"] >= 50 and seen["SYN-RECV"] >= 10, seen
    compare(list_now(programs))


def test_list_agrees_with_ss_while_listeners_come_and_go(programs, zoo, listeners):
    for turn in range(10):
        held = listeners.start(*[f"tcp@127.0.0.1@{7000 + turn * 10 + i}" for i in range(10)], name=f"guest{turn % 3}")
        compare(list_now(programs))
        if turn % 2:
            listeners.stop(held)
            compare(list_now(programs))


def test_dual_stack_is_shown_as_such(programs, zoo):
    rows = {(e["port"], e["address"]): e for e in list_now(programs)["endpoints"]}
    assert rows[444, "::"]["v6only"] is False
    assert rows[443, "::"]["v6only"] is True
    assert (444, "0.0.0.0") not in rows


def test_prefork_and_reuseport_are_one_endpoint_with_a_count(programs, zoo):
    rows = {e["port"]: e for e in list_now(programs)["endpoints"] if e["protocol"] == "tcp"}
    assert rows[8080]["count"] == 4
    assert rows[8081]["count"] == 4
    assert rows[8082]["count"] == 1


def test_connected_udp_is_not_listed_and_unconnected_is(programs, zoo):
    ports = [e["port"] for e in list_now(programs)["endpoints"] if e["protocol"] == "udp"]
    assert 55 not in ports
    assert 53 in ports
    assert len([p for p in ports if p >= 32768]) == 20


def test_list_of_one_port_shows_that_port_only(programs, zoo):
    result = subprocess.run([programs.cli, "list", "80", "--json"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert {e["port"] for e in json.loads(result.stdout)["endpoints"]} == {80}
    for spelling in ("53/udp", "udp/53"):
        result = subprocess.run([programs.cli, "list", spelling, "--json"], capture_output=True, text=True)
        assert {(e["protocol"], e["port"]) for e in json.loads(result.stdout)["endpoints"]} == {("udp", 53)}


def test_a_replaced_executable_is_shown_without_deleted(programs, listeners, place):
    listeners.start("tcp@0.0.0.0@80", name="upgraded")
    (place / "bin" / "upgraded").unlink()
    owner = list_now(programs)["endpoints"][0]["owner"]
    assert owner["exe"] == str(place / "bin" / "upgraded")


def test_human_output_is_plain_text_off_a_terminal(programs, zoo):
    result = subprocess.run([programs.cli, "list"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert re.search(r"0\.0\.0\.0:80\b", result.stdout) and "web" in result.stdout


def test_list_without_the_right_to_see_owners_says_so(programs, listeners):
    listeners.start("tcp@0.0.0.0@80", name="web")
    result = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all",
                             programs.cli, "list"], capture_output=True, text=True)
    assert re.search(r"0\.0\.0\.0:80\b", result.stdout)
    assert re.search(r"owner", result.stdout + result.stderr, re.I)
    assert "/web" not in result.stdout
