"""The Debian packages: what is in them, and what installing, upgrading, removing and purging them does to a copy of this
machine. What a booted system makes of them is tests/vm's to see."""

import gzip
import os
import re
import subprocess

import pytest

from harness import ROOT
from overlay import machine, packages  # noqa: F401 (fixtures)

# Slow where the packages have to be built first; the same on every build.
pytestmark = [pytest.mark.slow, pytest.mark.plain]
UNIT = "/lib/systemd/system/portwatch.service"
FILES = f"""
    /etc/portwatch.conf {UNIT} /usr/bin/portwatch /usr/sbin/portwatchd /usr/libexec/portwatch/portwatch-cause
    /usr/libexec/portwatch/portwatch-notify
    /usr/lib/modules-load.d/portwatch.conf /usr/lib/sysusers.d/portwatch.conf /usr/lib/systemd/catalog/portwatch.catalog
    /usr/lib/TRIPLET/portwatch/plugins/email.so /usr/lib/TRIPLET/portwatch/plugins/webhook.so
    /usr/share/bash-completion/completions/portwatch /usr/share/portwatch/portwatch-event.schema.json
    /usr/share/portwatch/namespaces.conf
    /usr/share/man/man1/portwatch.1.gz /usr/share/man/man5/portwatch.conf.5.gz /usr/share/man/man8/portwatchd.8.gz
    /usr/share/doc/portwatch/README.md.gz /usr/share/doc/portwatch/SECURITY.md /usr/share/doc/portwatch/changelog.gz
    /usr/share/doc/portwatch/changelog.Debian.gz /usr/share/doc/portwatch/copyright
    /usr/share/lintian/overrides/portwatch
    """.split()
FILES_DEV = """
    /usr/include/portwatch/plugin.h /usr/lib/TRIPLET/pkgconfig/portwatch.pc /usr/share/man/man3/portwatch-plugin.3.gz
    /usr/share/doc/portwatch-dev/changelog.gz /usr/share/doc/portwatch-dev/changelog.Debian.gz
    /usr/share/doc/portwatch-dev/copyright /usr/share/lintian/overrides/portwatch-dev
    """.split()


def output(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **options).stdout


def one(packages, name):
    (package,) = packages.glob(f"{name}_*.deb")
    return package


def listing(package):
    """Path (multiarch triplet left open): (mode, owner)."""
    rows = {}
    for line in output("dpkg-deb", "--contents", package).splitlines():
        mode, owner, _, _, _, path = line.split(None, 5)
        rows[re.sub(r"/lib/[a-z0-9_]+-linux-[a-z0-9]+/", "/lib/TRIPLET/", path[1:])] = mode, owner
    return rows


def field(package, name):
    return output("dpkg-deb", "--field", package, name).strip()


def changed(package, target, version, edit=None):
    """The package with another version; `edit` may change what is in it."""
    tree = target / "tree"
    output("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    if edit:
        edit(tree)
    result = target / f"portwatch_{version}_changed.deb"
    output("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, result)
    subprocess.run(["rm", "-r", tree], check=True)
    return result


# ---- what is in them


def test_package_has_its_files_and_nothing_else(packages):
    for name, expected in ("portwatch", FILES), ("portwatch-dev", FILES_DEV):
        rows = listing(one(packages, name))
        # debhelper compresses a document that is longer than 4 KiB
        plain = [re.sub(r"(/doc/.*)\.gz$", r"\1", path) for path in rows if not path.endswith("/")]
        assert sorted(plain) == sorted(re.sub(r"(/doc/.*)\.gz$", r"\1", path) for path in expected)
        assert {owner for _, owner in rows.values()} == {"root/root"}
        unusual = {path: mode for path, (mode, _) in rows.items()
                   if mode not in ("drwxr-xr-x", "-rw-r--r--") and "bin/" not in path and "libexec/" not in path}
        assert unusual == ({} if name == "portwatch-dev" else {
            "/etc/portwatch.conf": "-rw-r-----", "/etc/portwatch.conf.d/": "drwxr-x---",
            "/etc/portwatch/credentials/": "drwxr-x---"})


def test_programs_and_manual_pages_say_the_version(packages, tmp_path):
    version = field(one(packages, "portwatch"), "Version").rsplit("-", 1)[0]
    for name in "portwatch", "portwatch-dev":
        output("dpkg-deb", "--extract", one(packages, name), tmp_path)
    for program in "usr/bin/portwatch", "usr/sbin/portwatchd":
        assert output(tmp_path / program, "--version").split()[-1] == version
    pages = sorted(tmp_path.glob("usr/share/man/man*/*.gz"))
    assert len(pages) == 4
    for page in pages:
        assert f'"portwatch {version}"' in gzip.decompress(page.read_bytes()).decode(), page


def test_package_depends_on_what_it_links_and_no_more(packages):
    package = one(packages, "portwatch")
    names = {dependency.split()[0] for dependency in field(package, "Depends").split(", ")}
    assert names == {"systemd", "libc6", "libcurl4", "libinih1", "libjansson4", "libmnl0", "libsqlite3-0", "libssl3",
                     "libsystemd0"}
    assert field(package, "Recommends") == "ca-certificates"
    assert field(one(packages, "portwatch-dev"), "Depends") == ""


def test_programs_are_hardened(packages, tmp_path):
    output("dpkg-deb", "--extract", one(packages, "portwatch"), tmp_path)
    binaries = [tmp_path / "usr/bin/portwatch", tmp_path / "usr/sbin/portwatchd", tmp_path / "usr/libexec/portwatch/portwatch-notify",
                tmp_path / "usr/libexec/portwatch/portwatch-cause",
                *tmp_path.glob("usr/lib/*/portwatch/plugins/*.so")]
    assert len(binaries) == 6
    for binary in binaries:
        text = output("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--dyn-syms", binary)
        assert "DYN (" in text and "GNU_RELRO" in text and "BIND_NOW" in text and "_chk@" in text, binary
        assert "__stack_chk_fail" in text, binary
        assert not re.search(r"GNU_STACK .* RWE ", text), binary


def test_lintian_has_nothing_to_say(packages):
    (changes,) = packages.glob("portwatch_*.changes")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning,info", "--display-info", "--pedantic", changes],
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "", done.stdout + done.stderr


def test_plugin_of_others_builds_from_the_dev_package_alone(packages, machine, place):
    output("dpkg-deb", "--extract", one(packages, "portwatch-dev"), place)
    (folder,) = place.glob("usr/lib/*/pkgconfig")
    environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(place), "PKG_CONFIG_LIBDIR": str(folder)}
    assert output("pkg-config", "--modversion", "portwatch", env=environment).strip() == field(
        one(packages, "portwatch"), "Version").rsplit("-", 1)[0]
    flags = output("pkg-config", "--cflags", "portwatch", env=environment).split()
    assert flags == [f"-I{place}/usr/include"]
    # Where pkg-config says is where the daemon's own plugins are.
    plugins = output("pkg-config", "--variable=plugindir", "portwatch",
                     env={**environment, "PKG_CONFIG_SYSROOT_DIR": ""}).strip()
    assert re.sub(r"/lib/[^/]*/", "/lib/TRIPLET/", plugins) + "/email.so" in FILES

    output("gcc", "-shared", "-fPIC", "-Wall", "-Werror", *flags, ROOT / "tests/plugins/third.c", "-o", place / "third.so")
    machine.shell(f"dpkg --install {one(packages, 'portwatch')}; install -m 0644 {place}/third.so {plugins}/")
    machine.shell("printf '[notifier:theirs]\\nplugin = third\\n' > /etc/portwatch.conf.d/third.conf")
    said = machine.run("portwatch", "check-config")
    assert said.returncode == 2 and "notifier:theirs" in said.stdout + said.stderr, said


# ---- what they do


@pytest.fixture
def installed(packages, machine):
    machine.before = machine.changes()
    machine.shell(f"dpkg --install {one(packages, 'portwatch')}")
    return machine


def rights(machine, *paths):
    return machine.shell("stat -c '%a %U:%G' " + " ".join(paths)).splitlines()


CONFIGURED = "/etc/portwatch.conf", "/etc/portwatch.conf.d", "/etc/portwatch/credentials"
GIVEN = ["640 root:portwatch", "750 root:portwatch", "750 root:portwatch"]


def test_first_installation_makes_the_user_and_enables_the_service(installed):
    assert rights(installed, *CONFIGURED) == GIVEN
    assert installed.shell("getent passwd portwatch").strip().endswith(":/var/lib/portwatch:/usr/sbin/nologin")
    assert installed.shell("readlink /etc/systemd/system/multi-user.target.wants/portwatch.service").strip() == UNIT
    installed.shell("portwatch check-config")
    assert installed.shell("dpkg --verify portwatch") == ""


def test_upgrade_keeps_what_the_administrator_has_changed(installed, packages, place):
    installed.shell("""
        sed -i 's/^#interval = 2s/interval = 3s/; s/^#\\[portwatch\\]/[portwatch]/' /etc/portwatch.conf
        chown root:root /etc/portwatch.conf /etc/portwatch/credentials; chmod 0600 /etc/portwatch.conf
        echo secret > /etc/portwatch/credentials/smtp; echo '#' > /etc/portwatch.conf.d/mine.conf
        install -d /var/lib/portwatch; echo learned > /var/lib/portwatch/portwatch.db
        ln -sf /dev/null /etc/systemd/system/portwatch.service""")
    edited = installed.shell("cat /etc/portwatch.conf")
    assert "\n[portwatch]\n" in edited and "\ninterval = 3s\n" in edited

    # No question is asked where the package's file is the same as before.
    same = changed(one(packages, "portwatch"), place, "0.1.1-1")
    installed.shell(f"dpkg --install {same}")
    # Where it is another one too, apt's options for machines without people keep the administrator's.
    other = changed(one(packages, "portwatch"), place, "0.1.2-1",
                    lambda tree: (tree / "etc/portwatch.conf").write_text("# A new version of the file.\n"))
    done = installed.run("dpkg", "--install", other)
    assert done.returncode != 0 and "conffile" in done.stderr
    installed.shell(f"dpkg --force-confdef --force-confold --install {other}")

    assert installed.shell("dpkg-query -W -f '${Version} ${Status}' portwatch") == "0.1.2-1 install ok installed"
    assert installed.shell("cat /etc/portwatch.conf") == edited
    assert rights(installed, *CONFIGURED) == ["600 root:root", "750 root:portwatch", "750 root:root"]
    assert installed.shell("cat /etc/portwatch/credentials/smtp /etc/portwatch.conf.d/mine.conf /var/lib/portwatch/*") == \
        "secret\n#\nlearned\n"
    assert installed.shell("readlink /etc/systemd/system/portwatch.service") == "/dev/null\n"


def test_upgrade_brings_a_new_file_where_it_was_not_edited(installed, packages, place):
    other = changed(one(packages, "portwatch"), place, "0.1.1-1",
                    lambda tree: (tree / "etc/portwatch.conf").write_text("# A new version of the file.\n"))
    installed.shell(f"dpkg --install {other}")
    assert installed.shell("cat /etc/portwatch.conf") == "# A new version of the file.\n"
    assert rights(installed, *CONFIGURED) == GIVEN


def test_rights_stated_by_dpkg_statoverride_stand(machine, packages):
    machine.shell("""
        dpkg-statoverride --add root adm 0640 /etc/portwatch.conf
        dpkg-statoverride --add root root 0700 /etc/portwatch/credentials""")
    stated = ["640 root:adm", "750 root:portwatch", "700 root:root"]
    machine.shell(f"dpkg --install {one(packages, 'portwatch')}")
    assert rights(machine, *CONFIGURED) == stated
    # Also the second time, when the group is there from the beginning.
    machine.shell(f"dpkg --purge portwatch; dpkg --install {one(packages, 'portwatch')}")
    assert rights(machine, *CONFIGURED) == stated


def test_removal_keeps_configuration_and_state_for_the_next_installation(installed, packages):
    installed.shell("install -d -o portwatch -g portwatch -m 0750 /var/lib/portwatch; touch /var/lib/portwatch/portwatch.db")
    installed.shell("dpkg --remove portwatch; [ -e /var/lib/portwatch/portwatch.db ] && [ ! -e /usr/sbin/portwatchd ]")
    assert rights(installed, "/etc/portwatch.conf") == GIVEN[:1]
    installed.shell(f"dpkg --install {one(packages, 'portwatch')}")
    assert rights(installed, *CONFIGURED) == GIVEN


def test_installation_after_the_user_was_deleted_makes_all_anew(installed, packages):
    installed.shell("dpkg --remove portwatch; userdel --force portwatch; groupdel portwatch 2>/dev/null || true")
    installed.shell(f"dpkg --install {one(packages, 'portwatch')}")
    assert rights(installed, *CONFIGURED) == GIVEN


def test_purge_leaves_the_user_and_what_others_have_put_there(installed):
    installed.shell("install -d -o portwatch -g portwatch -m 0750 /var/lib/portwatch; touch /var/lib/portwatch/portwatch.db")
    installed.shell("dpkg --remove portwatch && dpkg --purge portwatch")
    books = re.compile(r"/var/(lib/dpkg|log|cache/(man|ldconfig|debconf))(/|$)|/etc/(\.pwd\.lock|(passwd|group|g?shadow|sub[ug]id)-?)$"
                       r"|/var/lib/systemd/catalog/database$")
    assert [change for change in sorted(installed.changes() - installed.before) if not books.search(change)] == []
    assert installed.shell("getent passwd portwatch")


def test_purge_spares_what_the_administrator_has_put_there(installed):
    installed.shell("echo secret > /etc/portwatch/credentials/smtp; echo '#' > /etc/portwatch.conf.d/mine.conf")
    installed.shell("dpkg --purge portwatch")
    assert installed.shell("find /etc/portwatch* -type f | sort") == "/etc/portwatch.conf.d/mine.conf\n/etc/portwatch/credentials/smtp\n"
