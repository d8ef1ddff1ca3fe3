#!/usr/bin/python3
"""The journal catalog: `catalog.py SRC CATALOG` compares it with src/daemon, `catalog.py --journalctl CATALOG` lets the
real parser read it. `--selftest` checks the comparison itself."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FIELDS = {"PORTWATCH_INCIDENT", "PORTWATCH_PORT", "PORTWATCH_NOTIFIER", "PORTWATCH_SEVERITY"}


def read_table(header):
    """{name: id} and what is wrong with it."""
    rows = re.findall(r'^\s+X\((\w+), "([^"]*)", LOG_(\w+)\)', header, re.M)
    faults = [f"{name}: {id_} is no id" for name, id_, _ in rows if not re.fullmatch("[0-9a-f]{32}", id_)]
    ids = [id_ for _, id_, _ in rows]
    faults += [f"{id_}: twice" for id_ in sorted(set(ids)) if ids.count(id_) > 1]
    if len(rows) < 10 or header.count("X(") != len(rows):
        faults.append(f"only {len(rows)} rows of the table were understood")
    return {name: id_ for name, id_, _ in rows}, faults


def read_catalog(text):
    """{id: (headers, body)}."""
    entries = {}
    for entry in re.split(r"^-- ", text, flags=re.M)[1:]:
        head, _, body = entry.partition("\n\n")
        id_, *headers = head.split("\n")
        entries[id_] = (dict(h.split(": ", 1) for h in headers), body.strip("\n"))
    return entries


def compare(header, sources, catalog):
    table, faults = read_table(header)
    entries = read_catalog(catalog)
    used = set(re.findall(r"\bJOURNAL_([A-Z_]+)\b", sources)) - {"MAX", "MESSAGES", "STREAM"}
    faults += [f"{name}: not in the table" for name in sorted(used - set(table))]
    faults += [f"{name}: in the table, but never logged" for name in sorted(set(table) - used)]
    faults += [f"{name}: not in the catalog" for name, id_ in table.items() if id_ not in entries]
    faults += [f"{id_}: in the catalog, but nowhere else" for id_ in entries if id_ not in table.values()]
    if catalog.count("\n-- ") != len(entries):
        faults.append("an id is in the catalog twice")
    for id_, (headers, body) in entries.items():
        if set(headers) != {"Subject", "Defined-By", "Support", "Documentation"} or headers["Defined-By"] != "portwatch":
            faults.append(f"{id_}: headers are {headers}")
        if len(body) < 40:
            faults.append(f"{id_}: explains nothing")
        unknown = set(re.findall("@([^@\n]*)@", body + headers.get("Subject", ""))) - FIELDS
        faults += [f"{id_}: no message has a field {field}" for field in unknown]
    return faults


def check(src, catalog):
    directory = pathlib.Path(src) / "daemon"
    sources = "".join(p.read_text() for p in sorted(directory.glob("*.c")))
    return compare((directory / "messages.h").read_text(), sources, pathlib.Path(catalog).read_text())


def check_journalctl(catalog):
    """systemd's own parser must find every entry, and show it as it is written."""
    text = pathlib.Path(catalog).read_text()
    faults = []
    with tempfile.TemporaryDirectory() as root:
        target = pathlib.Path(root, "usr/lib/systemd/catalog")
        target.mkdir(parents=True)
        pathlib.Path(root, "var/lib/systemd/catalog").mkdir(parents=True)
        shutil.copy(catalog, target / "portwatch.catalog")
        run = lambda *a: subprocess.run(["journalctl", f"--root={root}", "--no-pager", *a], capture_output=True, text=True)
        made = run("--update-catalog")
        if made.returncode or made.stderr:
            faults.append(f"journalctl --update-catalog: {made.returncode} {made.stderr}")
        for id_, (headers, body) in read_catalog(text).items():
            shown = run("--dump-catalog", id_)
            found = read_catalog(shown.stdout).get(id_)
            if not found or found[0].get("Subject") != headers["Subject"] or found[1] != body:
                faults.append(f"journalctl shows {id_} as {shown.stdout!r} {shown.stderr}")
    return faults


def selftest():
    ids = [f"{i:032x}" for i in range(12)]
    header = "#define JOURNAL_MESSAGES(X) \\\n" + "".join(f'    X(M{chr(65 + i)}, "{id_}", LOG_ERR) \\\n'
                                                         for i, id_ in enumerate(ids))
    sources = "".join(f"log_write(JOURNAL_M{chr(65 + i)}, NULL);" for i in range(12))
    entry = "\n-- {}\nSubject: s\nDefined-By: portwatch\nSupport: x\nDocumentation: y\n\n" + "word " * 10 + "@PORTWATCH_PORT@\n"
    catalog = "# comment\n" + "".join(entry.format(id_) for id_ in ids)
    assert compare(header, sources, catalog) == [], compare(header, sources, catalog)
    for wrong in ((header.replace(ids[3], ids[4]), sources, catalog), (header.replace(ids[3], "12"), sources, catalog),
                  (header, sources.replace("JOURNAL_MB", "JOURNAL_MX"), catalog),
                  (header, sources + "JOURNAL_NEW", catalog), (header, sources, catalog + entry.format("f" * 32)),
                  (header, sources, catalog + entry.format(ids[0])), (header, sources, catalog.replace(ids[5], "0" * 31 + "f")),
                  (header, sources, catalog.replace("@PORTWATCH_PORT@", "@HOME@")),
                  (header, sources, catalog.replace("Support: x\n", "", 1)), ("", sources, catalog)):
        assert compare(*wrong), wrong


def main():
    if sys.argv[1] == "--selftest":
        return selftest()
    if sys.argv[1] == "--journalctl" and not shutil.which("journalctl"):
        print("no journalctl here")
        return 77
    faults = check_journalctl(sys.argv[2]) if sys.argv[1] == "--journalctl" else check(*sys.argv[1:3])
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
