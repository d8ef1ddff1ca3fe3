#!/usr/bin/python3
"""Fails on an #include that crosses the layers of HACKING.md. `layers.py SRC` checks a tree, `--selftest` itself."""

import pathlib
import re
import sys
import tempfile

# Which layers' headers a layer may include, besides its own.
LAYERS = {
    "core": set(),
    "kernel": {"core"},
    "config": {"core"},
    "store": {"core"},
    "notify": {"core"},
    "cause": {"core"},
    "plugins": set(),
    "daemon": {"core", "kernel", "config", "store", "notify", "cause"},
    "cli": {"core", "kernel", "config", "store", "notify", "cause"},
}

# Libraries, by the beginning of the header's name, and the layers that may use them.
LIBRARIES = {
    "libmnl/": {"kernel"},
    "ini.h": {"config"},
    "sqlite3.h": {"store"},
    "curl/": {"plugins"},
    "openssl/": {"plugins"},
    "jansson.h": {"notify", "cause", "plugins", "daemon", "cli"},
    "systemd/": {"notify", "cause", "daemon", "cli"},
}
# Only daemon and cli log.
LOGGING = re.compile(r"\b(sd_journal_(?:print|send|perror|stream)\w*|syslog|vsyslog|perror)\s*\(")
PUBLIC = "plugins/plugin.h"  # the plugins' only header of ours; notify loads them through it
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def fault(path, layer, bracket, header):
    """Why `layer` may not include `header`, or None."""
    if header == "portwatch-build.h":
        return None if layer not in ("core", "plugins") else "paths of the build belong to daemon and cli"
    for prefix, allowed in LIBRARIES.items():
        if header.startswith(prefix):
            return None if layer in allowed else f"library of {', '.join(sorted(allowed))}"
    if bracket == "<":
        return None
    if layer == "plugins":
        return None if header in ("plugin.h", PUBLIC) or header.startswith("plugins/") else "plugins see plugin.h only"
    if header == PUBLIC:
        return None if layer == "notify" else "only notify loads plugins"
    other = header.split("/")[0]
    if "/" not in header or ".." in header:
        return 'write includes as "layer/file.h"'
    if other not in LAYERS:
        return "no such layer"
    if other == layer or other in LAYERS[layer]:
        return None
    return f"{layer} does not know {other}"


def check(src):
    faults, files = [], 0
    for path in sorted(src.rglob("*.[ch]")):
        layer = path.relative_to(src).parts[0]
        if layer not in LAYERS:
            faults.append(f"{path}: no layer called {layer}")
            continue
        files += 1
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            reason = fault(path, layer, *match.groups()) if match else None
            if reason:
                faults.append(f"{path}:{number}: {match.group(2)}: {reason}")
            if layer not in ("daemon", "cli") and LOGGING.search(line):
                faults.append(f"{path}:{number}: only daemon and cli log")
    return faults, files


def selftest():
    bad = {
        "core/a.c": "#include <sqlite3.h>\n",
        "core/b.h": '#include "kernel/sockets.h"\n',
        "kernel/a.c": '#include "store/store.h"\n',
        "config/a.c": ' # include "../core/rules.h"\n',
        "store/a.c": "void f(void) { syslog(3, x); }\n",
        "notify/a.c": '#include "daemon/log.h"\n',
        "notify/b.c": "#include <curl/curl.h>\n",
        "plugins/a.c": '#include "core/text.h"\n',
        "daemon/a.c": '#include "cli/table.h"\n',
        "else/a.c": "",
    }
    good = {
        "kernel/good.c": '#include <libmnl/libmnl.h>\n#include "core/endpoint.h"\n#include "kernel/sockets.h"\n',
        "plugins/good.c": '#include <curl/curl.h>\n#include "plugins/plugin.h"\n',
        "daemon/good.c": '#include <systemd/sd-event.h>\n#include "store/store.h"\n',
    }
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for name, text in {**bad, **good}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        faults, _ = check(root)
    found = {str(pathlib.Path(line.split(":")[0]).relative_to(root)) for line in faults}
    return [f"selftest: not refused: {name}" for name in sorted(set(bad) - found)] + [
        f"selftest: wrongly refused: {name}" for name in sorted(found - set(bad))
    ]


def main():
    faults, files = selftest(), 0
    if sys.argv[1:] != ["--selftest"]:
        src = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src")
        more, files = check(src)
        faults += more if files else [f"{src}: no sources found"]
    print("\n".join(faults) or f"{files} files keep to their layers")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
