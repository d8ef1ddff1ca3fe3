"""What must hold after every run, whatever was done to it."""

import contextlib
import json
import re
import sqlite3

PEERS = ("mail", "hook")
PROBE = 9999


def connect(world):
    return contextlib.closing(sqlite3.connect(world.watch.state / "portwatch.db", timeout=20))


def ask(world, sql, *arguments):
    """Rows, or None where the database cannot be read just now."""
    try:
        with connect(world) as database:
            return database.execute(sql, arguments).fetchall()
    except sqlite3.Error:
        return None


def learned(world):
    rows = ask(world, "SELECT count(*) FROM event WHERE type = 'learned'")
    return rows and rows[0][0] == 1


def waiting(world):
    """(notifier, message or None) of each event on its way; None if it cannot be told."""
    return ask(world, "SELECT q.notifier, m.id FROM queue q LEFT JOIN message m ON m.seq = q.message"
                      " WHERE m.seq IS NULL OR m.state = 'waiting'")


def open_ports(world):
    rows = ask(world, "SELECT port FROM incident WHERE state = 'open' AND aspect = 'surface' AND port")
    return None if rows is None else sorted(port for port, in rows)


def expected_open(plan, probe=False):
    ports = [port for port in {**plan.first, **plan.last} if plan.first.get(port) != plan.last.get(port)]
    return sorted(ports) + ([PROBE] if probe else [])


def check_database(world):
    with connect(world) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert not database.execute("PRAGMA foreign_key_check").fetchall()
        twice = database.execute("SELECT aspect, namespace, protocol, port, local FROM incident WHERE state = 'open'"
                                 " GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1").fetchall()
        assert not twice, f"two open incidents of one key: {twice}"


def incident_stories(events):
    """Each begins once, ends once at most, and nothing comes after its end."""
    stories = {}
    for seq, ident, kind, incident, document in events:
        if incident:
            stories.setdefault(incident, []).append(kind)
    for incident, kinds in stories.items():
        assert kinds[0] == "opened" and kinds.count("opened") == 1, (incident, kinds)
        assert "resolved" not in kinds[:-1], f"told after it was resolved: {incident}: {kinds}"


def same_bytes(taken, name):
    """A retry is the same message."""
    bodies = {}
    for one in taken:
        assert bodies.setdefault(one.ident, one.body) == one.body, f"{name}: message {one.ident} was rewritten"
    return bodies


def in_order(taken, order, name):
    """Messages come one after the other: none again once a later one has come."""
    last = -1
    for one in sorted(taken, key=lambda one: one.number):
        at = order.index(one.ident)
        assert at >= last, f"{name}: message {one.ident} came after a later one"
        last = at


def delivered(world):
    """Every event to everybody, by what the servers took. Returns how many."""
    count = 0
    with connect(world) as database:
        events = database.execute("SELECT seq, id, type, incident, document FROM event ORDER BY seq").fetchall()
        incident_stories(events)
        failed = []
        for name in PEERS:
            taken = list(world.servers[name].taken)
            bodies = same_bytes(taken, name)
            messages = database.execute("SELECT seq, id, state, subject, document FROM message WHERE notifier = ?"
                                        " ORDER BY seq", (name,)).fetchall()
            order = [ident for _, ident, _, _, _ in messages]
            assert set(bodies) <= set(order), f"{name}: took a message that nobody knows: {set(bodies) - set(order)}"
            in_order(taken, order, name)
            good = {one.ident for one in taken if one.good}
            told = {}
            for seq, ident, state, subject, document in messages:
                inside = database.execute("SELECT e.id, e.type, e.document FROM queue q JOIN event e ON e.seq = q.event"
                                          " WHERE q.message = ? ORDER BY q.id", (seq,)).fetchall()
                if state == "failed":
                    failed.append((name, subject))
                else:
                    assert state == "sent", f"{name}: {ident} is {state}"
                    assert ident in good, f"{name}: {ident} is said to be sent, but was not taken"
                if ident in bodies:
                    check_inside(name, bodies[ident], document, inside)
                told.update({event: state for event, _, _ in inside})
                count += len(inside) if state == "sent" else 0
            for _, ident, kind, _, document in events:
                if ident not in told and not (kind == "self" and about_delivery(document, name)):
                    raise AssertionError(f"{name} was never told of event {ident}: {kind} {document}")
        check_refused(failed, events)
    return count


def check_inside(name, body, document, inside):
    """What was sent is the message as it was formed, and has every event that it is said to carry."""
    if name == "hook":
        assert body.decode() == document, "the body is not the message's document"
        sent = json.loads(body)
        ids = [event["id"] for event in (sent if isinstance(sent, list) else [sent])]
        assert set(ids) <= {event for event, _, _ in inside}, "an event that is not the message's"
        # of one incident that came and went while it waited one says it all
        subjects = {event["subject"] for event in (sent if isinstance(sent, list) else [sent])}
        assert subjects == {json.loads(text)["subject"] for _, _, text in inside}, (subjects, inside)
    else:
        for _, kind, text in inside:
            data = json.loads(text)["data"]
            if kind in ("opened", "changed", "resolved") and data.get("port"):
                assert re.search(rb"\b%d/tcp" % data["port"], body), f"the mail does not speak of {data['port']}: {body}"


def about_delivery(document, name):
    """A notice about this notifier, which it is not told itself."""
    return f"notifier {name} " in json.loads(document)["data"]["summary"]


def check_refused(failed, events):
    """Each refusal is told through the other."""
    notices = [json.loads(document)["data"]["summary"] for _, _, kind, _, document in events if kind == "self"]
    for name, subject in failed:
        start = f'notifier {name} could not deliver "'
        found = next((n for n in notices if n.startswith(start) and subject[:40] in n), None)
        assert found, f"{name} refused \"{subject}\" and nobody was told"
        notices.remove(found)
