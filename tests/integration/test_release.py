"""What the steps of a release in HACKING.md rely on."""

import re
import subprocess

from harness import ROOT


def first(pattern, path):
    return re.search(pattern, (ROOT / path).read_text(), re.M)[1]


def test_version_is_the_same_everywhere():
    version = first(r"version: '([0-9.]+)'", "meson.build")
    said = {path: first(pattern, path) for path, pattern in {
        "NEWS.md": r"^## (\S+)",
        "packaging/debian/changelog": r"\Aportwatch \(([^-)]+)-\d+\)",
        "packaging/rpm/portwatch.spec": r"^Version:\s*(\S+)",
        "packaging/arch/PKGBUILD": r"^pkgver=(\S+)",
    }.items()}
    assert said == dict.fromkeys(said, version)


def test_packaging_of_other_systems_parses():
    subprocess.run(["rpmspec", "--parse", ROOT / "packaging/rpm/portwatch.spec"], check=True, capture_output=True)
    for script in ("PKGBUILD", "portwatch.install"):
        subprocess.run(["bash", "-n", ROOT / "packaging/arch" / script], check=True)
