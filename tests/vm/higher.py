"""The next version of portwatch, to upgrade to: a copy of this checkout with a higher version and one more step of the
database's schema."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

VERSION = "99.0.0"
# Touches what is there, and is there to be seen afterwards.
STEP = ("ALTER TABLE history ADD COLUMN upgraded INTEGER NOT NULL DEFAULT 7;"
        "CREATE TABLE upgrade_note (id INTEGER PRIMARY KEY, words TEXT NOT NULL) STRICT;"
        "INSERT INTO upgrade_note (words) SELECT 'endpoints: ' || count(*) FROM baseline;")


def substitute(path, pattern, replacement):
    """Exactly one place, or the copy is not what we think it is."""
    text, n = re.subn(pattern, replacement, path.read_text(), flags=re.M)
    if n != 1:
        raise RuntimeError(f"{path}: {n} places of {pattern!r}")
    path.write_text(text)


def change(copy):
    """Raises the version and adds the step. Returns the new schema's number."""
    header, source = copy / "src/store/schema.h", copy / "src/store/schema.c"
    version = int(re.search(r"#define SCHEMA_VERSION (\d+)", header.read_text())[1]) + 1
    substitute(header, r"#define SCHEMA_VERSION \d+", f"#define SCHEMA_VERSION {version}")
    substitute(source, r"^const Migration schema_migrations\[\] = \{(.*)\};$",
               rf'static const char schema_next[] = "{STEP}";\n'
               rf"const Migration schema_migrations[] = {{\1, {{{version}, schema_next}}}};")
    substitute(copy / "meson.build", r"^  version: '.*',$", f"  version: '{VERSION}',")
    changelog = copy / "packaging/debian/changelog"
    changelog.write_text(f"portwatch ({VERSION}-1) unstable; urgency=medium\n\n  * For a test of upgrades.\n\n"
                         " -- Nobody <nobody@localhost>  Mon, 23 Nov 2026 13:00:00 +0000\n\n" + changelog.read_text())
    return version


class Build:
    """Runs beside the guests. directory/done or directory/failed appears at the end; packages are in directory."""

    def __init__(self, root, directory):
        directory.mkdir()
        copy = directory / "copy"
        shutil.copytree(root, copy, symlinks=True, ignore=lambda folder, names: [
            n for n in names if n in (".git", "__pycache__") or (n.startswith("build") and pathlib.Path(folder) == root)])
        (directory / "schema").write_text(str(change(copy)))
        script = 'if packaging/deb.sh --no-deps --output "$1" >"$1/log" 2>&1; then touch "$1/done"; else touch "$1/failed"; fi'
        # the guests come first: they have deadlines
        self._process = subprocess.Popen(["nice", "-n", "15", "sh", "-c", script, "sh", directory], cwd=copy,
                                         stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
