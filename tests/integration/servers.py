"""Real and rude servers on loopback for the integration tests.

Classes are context managers; the functions marked @pytest.fixture at the end wrap them. In a test file:

    from servers import *          # fixtures: ca, exim, http_server; classes: Exim, Smtp, RudeSmtp, HttpServer

Every server listens on 127.0.0.1 with a port of the kernel's choice (`.port`), keeps everything it writes inside the
directory it was given, and is gone when its context ends.
"""

import base64
import email
import email.policy
import hashlib
import hmac
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

__all__ = ["USER", "PASSWORD", "Ca", "Exim", "Smtp", "RudeSmtp", "HttpServer", "Request", "free_port", "wait_for",
           "parse_mail", "verify_signature", "webhook_secret", "ca", "exim", "http_server"]

USER = "acct"
PASSWORD = "s3cret"


def free_port():
    """A TCP port of 127.0.0.1 that nothing has now (outside the ephemeral range where possible)."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, timeout=10.0, step=0.05):
    """Polls until condition() is true and returns its value; the last value when the time is over."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() >= end:
            return value
        time.sleep(step)


def parse_mail(raw):
    """Bytes of a mail -> email.message.EmailMessage with decoded headers."""
    return email.message_from_bytes(raw, policy=email.policy.default)


class Ca:
    """A throw-away CA with one certificate for localhost and 127.0.0.1: .ca .cert .key (paths)."""

    def __init__(self, directory):
        d = pathlib.Path(directory)
        d.mkdir(parents=True, exist_ok=True)
        self.ca, self.cert, self.key = d / "ca.pem", d / "cert.pem", d / "key.pem"

        def openssl(*arguments):
            subprocess.run(["openssl", *map(str, arguments)], check=True, cwd=d, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *curve, "-days", "3", "-subj", "/CN=portwatch test CA", "-keyout", "ca.key",
                "-out", self.ca)
        openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", self.key, "-out", "server.csr")
        (d / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", self.ca, "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "3", "-extfile", "server.ext", "-out", self.cert)
        self.ca.chmod(0o644)
        self.key.chmod(0o600)

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


EXIM_CONFIG = """\
keep_environment =
primary_hostname = localhost
domainlist local_domains = localhost
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = {port}
spool_directory = {dir}/spool
log_file_path = {dir}/log/%s.log
pid_file_path = {dir}/exim.pid
tls_advertise_hosts = {tls_hosts}
tls_certificate = {dir}/tls/cert.pem
tls_privatekey = {dir}/tls/key.pem
{smtps}
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}{{}}}}
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
queue_run_max = 1
never_users =
begin acl
rcpt:
  deny message = no such user
       local_parts = nobody-here
  accept authenticated = *
  {open}
  deny message = authentication required
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  file = {dir}/box/mbox
  create_directory = false
  delivery_date_add
  envelope_to_add
  return_path_add
  user = Debian-exim
  group = Debian-exim
begin retry
*  *  F,1d,5s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"""


def accepted_at(raw):
    """When Exim took this mail: seconds and fraction of its message id (SSSSSS-PPPPPP-FF, base 62 in ASCII order)."""
    found = re.search(rb"\bid ([0-9A-Za-z]{6})-[0-9A-Za-z]+-([0-9A-Za-z]+)", raw)
    return found.groups() if found else (b"~", b"")  # just being written


class Exim:
    """A private exim4: STARTTLS, AUTH PLAIN/LOGIN (USER, PASSWORD) only inside TLS, RCPT only after AUTH unless
    auth=False, mbox delivery; RCPT to nobody-here@... is refused with 550. Needs root. tls: starttls | smtps | none.

    Attributes: port, url ("smtp://127.0.0.1:PORT"), ca (Ca; .ca is what a client must trust).
    """

    def __init__(self, ca=None, auth=True, tls="starttls", port=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="portwatch-exim-"))
        self.port = port or free_port()
        self.ca = ca or Ca(self.dir / "ca")
        self.url = f"{'smtps' if tls == 'smtps' else 'smtp'}://127.0.0.1:{self.port}"
        self._auth, self._tls = auth, tls
        self._process = None
        self.dir.chmod(0o755)
        # exim gives up root where the configuration is not its own, so deliveries run as its user too
        for name in ("spool", "log", "box", "tls"):
            (self.dir / name).mkdir()
            shutil.chown(self.dir / name, "Debian-exim", "Debian-exim")
            (self.dir / name).chmod(0o750)
        for source, name in ((self.ca.cert, "cert.pem"), (self.ca.key, "key.pem")):
            shutil.copy(source, self.dir / "tls" / name)
            shutil.chown(self.dir / "tls" / name, "Debian-exim", "Debian-exim")
        self._config = self.dir / "exim.conf"
        self._config.write_text(EXIM_CONFIG.format(
            port=self.port, dir=self.dir, user=USER, password=PASSWORD, open="" if auth else "accept",
            tls_hosts="" if tls == "none" else "*", smtps=f"tls_on_connect_ports = {self.port}" if tls == "smtps" else ""))
        self._config.chmod(0o644)

    def start(self):
        self._process = subprocess.Popen(["exim4", "-C", str(self._config), "-bdf", "-oX", str(self.port)],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, start_new_session=True)

        def up():
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False

        if not wait_for(up, 60):
            raise RuntimeError(f"exim did not come up: {self.log()}")
        return self

    def stop(self):
        """Stops the server (deliveries included); start() may follow: spool and mailbox are kept."""
        if self._process:
            try:
                os.killpg(self._process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None

    def log(self):
        return "".join(p.read_text(errors="replace") for p in sorted((self.dir / "log").glob("*.log")))

    def _box(self):
        try:
            return (self.dir / "box" / "mbox").read_bytes()
        except FileNotFoundError:
            return b""

    def raw_mails(self):
        """The bytes of every mail in the mailbox, in the order in which the server took them, without the mbox separator
        lines. Exim delivers each by a process of its own: two of one second may stand in the box the other way round, and
        the later one may be there alone for a moment. So what was taken is waited for: no answer has a gap in it."""
        def settled():
            data = self._box()
            return (data,) if not any((self.dir / "spool/input").rglob("*-H")) and data == self._box() else None

        data = (wait_for(settled, 5, 0.01) or (self._box(),))[0]
        if data.endswith(b"\n\n"):  # the empty line between messages
            data = data[:-1]
        mails = [part.split(b"\n", 1)[1] for part in (b"\n" + data).split(b"\nFrom ")[1:]]
        return sorted(mails, key=accepted_at)

    def mails(self):
        return [parse_mail(raw) for raw in self.raw_mails()]

    def wait_mails(self, count, timeout=60):
        """Waits for at least `count` mails and returns all there are."""
        wait_for(lambda: len(self.raw_mails()) >= count, timeout)
        return self.mails()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Smtp:
    """aiosmtpd in a thread. context: ssl context for STARTTLS (None: plain); auth: demand USER and PASSWORD.
    .mails: list of (envelope sender, [recipients], raw bytes)."""

    def __init__(self, context=None, auth=False, port=0):
        self._context, self._auth, self._wanted = context, auth, port
        self.mails = []
        self.port = None

    def __enter__(self):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
        outer = self

        def check(server, session, envelope, mechanism, data):
            good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
            # handled=True leaves a client with a bad password waiting for ever
            return AuthResult(success=good, handled=False)

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                outer.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
                return "250 OK"

        class Plain(Controller):
            def factory(self):
                return SMTP(self.handler, hostname="localhost", tls_context=outer._context,
                            require_starttls=outer._context is not None, auth_required=outer._auth,
                            authenticator=check if outer._auth else None,
                            auth_require_tls=outer._context is not None)

        self.port = self._wanted or free_port()
        self._controller = Plain(Handler(), hostname="127.0.0.1", port=self.port)
        self._controller.start()
        self.url = f"smtp://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self._controller.stop()

    def wait_mails(self, count, timeout=60):
        wait_for(lambda: len(self.mails) >= count, timeout)
        return self.mails


class _Threaded:
    """A listener with one thread a connection; subclasses define serve(socket)."""

    def __init__(self, port=0):
        self._wanted = port
        self.connections = 0

    def __enter__(self):
        self._stop = threading.Event()
        self._open = {}  # socket: number of its connection
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", self._wanted))
        self.port = self._listener.getsockname()[1]
        self._listener.settimeout(0.2)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def _accept(self):
        while not self._stop.is_set():
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            peer.settimeout(60)
            with self._lock:
                self.connections += 1
                self._open[peer] = self.connections
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer):
        try:
            self.serve(peer)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.pop(peer, None)
            peer.close()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._listener.close()
        with self._lock:
            for peer in list(self._open):
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def number(self, peer):
        """Of an open connection: 1 for the first that was made."""
        with self._lock:
            return self._open[peer]

    def sleep(self, seconds):
        """Sleeps until the time is over or the server is stopped."""
        self._stop.wait(seconds)


class RudeSmtp(_Threaded):
    """An SMTP server that misbehaves at one stage and is polite at all others.

    stage: greeting, ehlo, auth, mail, rcpt, data, body (after the dot). what: a reply ("550 no"), or
      "drop"     close the connection instead of answering (stage body: after the first line of the body),
      "silent"   never answer, "dribble" one byte of the answer a second, "endless" an answer that never ends,
      "garbage"  bytes that are no SMTP.
    features: lines of the EHLO answer. times: misbehave only that many times, then be polite (None: always).
    silent_quit: QUIT is never answered, and the connection stays.
    .commands holds every command line received, .bodies every accepted message.
    """

    POLITE = {"greeting": "220 rude ready", "ehlo": "250 hello", "auth": "235 ok", "mail": "250 ok", "rcpt": "250 ok",
              "data": "354 go on", "body": "250 queued"}

    def __init__(self, stage=None, what=None, features=(), times=None, port=0, silent_quit=False):
        super().__init__(port)
        self.silent_quit = silent_quit
        self.stage, self.what, self.features, self.left = stage, what, list(features), times
        self.commands, self.bodies = [], []
        self.url = None

    def __enter__(self):
        super().__enter__()
        self.url = f"smtp://127.0.0.1:{self.port}"
        return self

    def _rude(self, stage):
        if stage != self.stage or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def _answer(self, peer, stage, polite=None):
        """False: the conversation is over."""
        text = polite or self.POLITE[stage]
        if self._rude(stage):
            if self.what == "drop":
                return False
            if self.what == "silent":
                self.sleep(600)
                return False
            if self.what == "dribble":
                for byte in (text + "\r\n").encode() * 100:
                    peer.sendall(bytes([byte]))
                    self.sleep(1)
                    if self._stop.is_set():
                        return False
                return False
            if self.what == "endless":
                while not self._stop.is_set():
                    peer.sendall(b"250-" + b"x" * 500 + b"\r\n")
                return False
            if self.what == "garbage":
                peer.sendall(bytes(range(256)) * 8 + b"\r\n")
                return False
            text = self.what
        peer.sendall(text.encode() + b"\r\n")
        return True

    def serve(self, peer):
        stream = peer.makefile("rb")
        if not self._answer(peer, "greeting"):
            return
        while True:
            line = stream.readline(4096)
            if not line:
                return
            text = line.decode("latin-1").rstrip("\r\n")
            self.commands.append(text)
            verb = text.split(" ")[0].upper()
            if verb == "QUIT" and self.silent_quit:
                self.sleep(600)
                return
            if verb in ("EHLO", "HELO"):
                lines = ["hello", *self.features]
                polite = "\r\n".join("250" + ("-" if i + 1 < len(lines) else " ") + l for i, l in enumerate(lines))
                good = self._answer(peer, "ehlo", polite)
            elif verb == "AUTH":
                if len(text.split(" ")) < 3:
                    peer.sendall(b"334 \r\n")
                    stream.readline(4096)
                good = self._answer(peer, "auth")
            elif verb == "MAIL":
                good = self._answer(peer, "mail")
            elif verb == "RCPT":
                good = self._answer(peer, "rcpt")
            elif verb == "DATA":
                if not self._answer(peer, "data"):
                    return
                if self.stage == "data" and not self.what.startswith("3") and self.left != 0:
                    continue
                if self.stage == "body" and self.what == "drop" and self._rude("body"):
                    stream.readline()
                    return
                body = []
                while True:
                    line = stream.readline()
                    if not line:
                        return
                    if line == b".\r\n":
                        break
                    body.append(line[1:] if line.startswith(b".") else line)
                good = self._answer(peer, "body")
                self.bodies.append(b"".join(body))
            elif verb == "QUIT":
                peer.sendall(b"221 bye\r\n")
                return
            elif verb in ("RSET", "NOOP"):
                peer.sendall(b"250 ok\r\n")
                good = True
            else:
                peer.sendall(b"500 what?\r\n")
                good = True
            if not good:
                return


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.time = time.time()


class HttpServer(_Threaded):
    """An HTTP server. Each request is kept in .requests and answered by `respond`: (status, {header: value}, body
    bytes), a function of the Request that returns one, or "silent", "drop", "dribble", "endless" (status 200, then a
    body without end), "garbage". `respond` may be replaced at any time. context: ssl context for https."""

    def __init__(self, respond=(204, {}, b""), context=None, port=0):
        super().__init__(port)
        self.respond, self._context = respond, context
        self.requests = []

    def __enter__(self):
        super().__enter__()
        self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/hook"
        return self

    def serve(self, peer):
        if self._context:
            try:
                peer = self._context.wrap_socket(peer, server_side=True)
            except (ssl.SSLError, OSError):
                return
        stream = peer.makefile("rb")
        first = stream.readline(65536).decode("latin-1").split(" ")
        if len(first) < 3:
            return
        headers = http.client.parse_headers(stream)
        body = stream.read(int(headers.get("content-length", "0")))
        request = Request(first[0], first[1], headers, body)
        self.requests.append(request)
        answer = self.respond(request) if callable(self.respond) else self.respond
        if answer == "drop":
            return
        if answer == "silent":
            self.sleep(600)
        elif answer == "garbage":
            peer.sendall(bytes(range(256)) * 4)
        elif answer == "endless":
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            while not self._stop.is_set():
                peer.sendall(b"x" * 65536)
        elif answer == "dribble":
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 4:
                peer.sendall(bytes([byte]))
                self.sleep(1)
                if self._stop.is_set():
                    return
        else:
            status, extra, content = answer
            lines = [f"HTTP/1.1 {status} X"] + [f"{k}: {v}" for k, v in extra.items()]
            if status != 204:
                lines.append(f"Content-Length: {len(content)}")
            lines.append("Connection: close")
            peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        if self._context:
            try:
                peer.unwrap()
            except OSError:
                pass
        else:
            peer.shutdown(socket.SHUT_WR)

    def wait_requests(self, count, timeout=60):
        wait_for(lambda: len(self.requests) >= count, timeout)
        return self.requests


def webhook_secret():
    """(the secret as configured, its key bytes)"""
    key = os.urandom(32)
    return "whsec_" + base64.b64encode(key).decode(), key


def verify_signature(request, key, tolerance=300):
    """Standard Webhooks: raises AssertionError unless id, timestamp and signature are right."""
    ident, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < tolerance, "webhook-timestamp is not now"
    good = base64.b64encode(hmac.new(key, f"{ident}.{stamp}.".encode() + request.body, hashlib.sha256).digest())
    assert "v1," + good.decode() in request.headers["webhook-signature"].split(" "), "webhook-signature does not match"


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def exim(ca):
    with Exim(ca) as server:
        yield server


@pytest.fixture
def http_server():
    with HttpServer() as server:
        yield server
