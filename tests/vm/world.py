"""What is around portwatch in a guest: its name, a mail server that wants STARTTLS and a password, services with sockets;
and the configuration file as a person edits it."""

import os
import pathlib
import re
import shutil
import subprocess

HOST = "gate.example.net"
USER, PASSWORD = "acct", "s3cret pass"
SENDER, RECIPIENT = f"portwatch@{HOST}", f"ops@{HOST}"
MAILBOX = "/var/mail/ops"
HOOKS = "/var/lib/hooks"
CA = "/etc/ssl/mail-ca.pem"
EPHEMERAL, RANGE = 25000, "20000 29999"  # a port within a range that is not the kernel's default one
CONFIG, CREDENTIALS = "/etc/portwatch.conf", "/etc/portwatch/credentials"

EXIM = r"""
keep_environment =
primary_hostname = {host}
qualify_domain = {host}
local_interfaces = <; 127.0.0.1 ; ::1
daemon_smtp_ports = 587
tls_advertise_hosts = *
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/key.pem
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}{{}}}}
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_query_timeout = 0s
log_selector = +smtp_protocol_error
begin acl
rcpt:
  accept authenticated = *
  deny message = authentication required
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {box}
  maildir_format
  user = mail
  group = mail
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""

# Each with an executable of its own, so that mails have something to name.
SERVICES = {
    # unit: (command, user, further lines of [Service])
    "web": ("webd 0.0.0.0 80", "shop", "ExecStartPre=sleep 1\n"),
    "base": ("based 127.0.0.1 5432", "shop", ""),
    "shop": ("shopd 0.0.0.0 8080", "shop", ""),
    "spare": ("spared 0.0.0.0 9090", "shop", ""),
    "gone": ("goned 0.0.0.0 6000", "shop", ""),
    "late": ("lated 0.0.0.0 7100", "shop", ""),
    "any": (f"anyd 0.0.0.0 {EPHEMERAL}", "shop", ""),
    "hooks": (f"hookd -d {HOOKS} 127.0.0.1 8099", "root", ""),
}
DELAY = {"late": 15}  # seconds until it listens, after it counts as started
SOCKET = "/etc/systemd/system/call.socket"
UNITS = {
    SOCKET: "[Socket]\nListenStream=0.0.0.0:7000\n\n[Install]\nWantedBy=sockets.target\n",
    "/etc/systemd/system/call.service": "[Service]\nExecStart=/usr/sbin/calld\nUser=shop\n",
    "/etc/systemd/system/spare@.service": "[Service]\nExecStart=/usr/sbin/spared 0.0.0.0 %i\nUser=shop\n",
}


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def certificates(directory):
    """ca.pem, and cert.pem with key.pem for localhost."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(directory, "req", "-x509", *curve, "-days", "3", "-subj", "/CN=guest CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(directory, "req", *curve, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "server.csr")
    (directory / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n")
    openssl(directory, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
            "3", "-extfile", "server.ext", "-out", "cert.pem")


def make_props(directory):
    """Made once for all guests: certificates, and the program of the services."""
    certificates(directory)
    source = pathlib.Path(__file__).with_name("shopd.c")
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o", directory / "shopd", source], check=True)


def number(root, file, name, field):
    for line in (root / "etc" / file).read_text().splitlines():
        if line.split(":")[0] == name:
            return int(line.split(":")[field])
    raise KeyError(name)


def put_package(root, packages):
    """Where apt in the guest finds it: the path in the guest."""
    found = [p for p in sorted(packages.glob("portwatch_*.deb"))]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} packages portwatch in {packages}")
    shutil.copy(found[0], f"{root}/root/")
    return f"/root/{found[0].name}"


def put_name(root, host=HOST):
    (root / "etc/hostname").write_text(host.split(".")[0] + "\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {host} {host.split('.')[0]}\n")


def put_mail(root, props):
    """Exim, as Debian starts it, with a configuration of its own; mail for anybody ends in one maildir."""
    group = number(root, "group", "Debian-exim", 2)
    (root / "etc/exim4/exim4.conf").write_text(EXIM.format(host=HOST, user=USER, password=PASSWORD, box=MAILBOX))
    (root / "etc/mailname").write_text(HOST + "\n")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(props / name, root / "etc/exim4" / name)
        os.chown(root / "etc/exim4" / name, 0, group)
        os.chmod(root / "etc/exim4" / name, 0o640)
    shutil.copy(props / "ca.pem", str(root) + CA)
    os.chmod(str(root) + CA, 0o644)


def put_services(root, props, enabled=(), delays=None):
    delays = DELAY if delays is None else delays
    subprocess.run(["chroot", root, "useradd", "--system", "shop"], check=True)
    pathlib.Path(f"{root}{HOOKS}").mkdir()
    units = dict(UNITS)
    for name, (command, user, more) in SERVICES.items():
        if name in delays:
            command = f"sh -c 'sleep {delays[name]}; exec /usr/sbin/{command}'"
        units[f"/etc/systemd/system/{name}.service"] = (
            f"[Unit]\nDescription=The guest's {name}\n\n[Service]\nExecStart={command}\nUser={user}\n"
            f"AmbientCapabilities=CAP_NET_BIND_SERVICE\n{more}\n[Install]\nWantedBy=multi-user.target\n")
    for command in [command for command, _, _ in SERVICES.values()] + ["calld"]:
        shutil.copy(props / "shopd", root / "usr/sbin" / command.split()[0])
    for path, text in units.items():
        pathlib.Path(f"{root}{path}").write_text(text)
    for unit in enabled:
        subprocess.run(["systemctl", f"--root={root}", "--quiet", "enable", unit], check=True)


# ---- /etc/portwatch.conf, as shipped: settings are there behind a "#"


def uncomment(text, section, keys):
    """Takes the "#" away from the section's header and from these keys, and puts the values there. A key that is not shown
    in the section is added below the header. A value None makes the key a comment again."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.lstrip("#") == f"[{section}]")
    end = next((i for i in range(start + 1, len(lines)) if re.match(r"#?\[", lines[i])), len(lines))
    lines[start] = f"[{section}]"
    for key, value in keys.items():
        at = next((i for i in range(start + 1, end) if re.match(rf"#?{key} = ", lines[i])), None)
        if at is None:
            lines.insert(start + 1, f"{key} = {value}")
            end += 1
        else:
            lines[at] = f"#{key} = " if value is None else f"{key} = {value}"
    return "\n".join(lines)


def mail_keys(**more):
    """A notifier's keys for this guest's server. The password is a credential of the service."""
    return {"plugin": "email", "server": "smtp://localhost:587", "starttls": "required", "from": "portwatch@%H",
            "to": RECIPIENT, "username": USER, "credential": "smtp", "ca_file": CA, "group_wait": "1s", **more}
