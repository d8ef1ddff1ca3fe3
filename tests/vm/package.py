"""What there is to know of the packages themselves."""

import re
import subprocess

from report import Checks, note


def output(*command):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


def run(tree, packages, props, higher):
    checks = Checks()
    for path in sorted(packages.glob("portwatch*.deb")):
        if "-dbgsym_" not in path.name:
            note(output("dpkg-deb", "-f", path, "Package", "Version", "Installed-Size", "Depends", "Recommends", "Suggests"))
    with checks("lintian has no error and no warning"):
        changes, = packages.glob("portwatch_*.changes")
        result = subprocess.run(["lintian", "--allow-root", "--info", "--display-level", ">=info", "--show-overrides", changes],
                                capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
        tags = [line for line in result.stdout.splitlines() if re.match(r"[EWIPON]: ", line) and not line.startswith("N:   ")]
        counts = {kind: sum(tag.startswith(f"{letter}: ") for tag in tags) for kind, letter in
                  (("errors", "E"), ("warnings", "W"), ("info", "I"), ("overridden", "O"))}
        note("lintian: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        assert result.returncode == 0 and not counts["errors"] and not counts["warnings"], result.stdout + result.stderr
