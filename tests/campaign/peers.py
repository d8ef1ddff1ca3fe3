"""The other side: a mail server, a web server and a name server that do as a plan says. Each keeps what it took."""

import email
import email.policy
import http.client
import json
import socket
import ssl
import struct
import threading

from servers import _Threaded


class Over(Exception):
    """This conversation has ended."""


class Fault:
    """What a server does instead of its work until .over is set. what: see Mail and Hook."""

    def __init__(self, name, what):
        self.name, self.what, self.over, self.met = name, what, threading.Event(), 0


class Taken:
    """One attempt that came in whole. number: of its connection, in the order in which they were made, for a thread may
    be late with its notes. good: the server has said, or was to say, that it has it."""

    def __init__(self, number, ident, body, good, events=()):
        self.number, self.ident, self.body, self.good, self.events = number, ident, body, good, tuple(events)


class Peer(_Threaded):
    """certificates: None, or contexts by name: good, wrong, expired."""

    def __init__(self, certificates=None, port=0):
        super().__init__(port)
        self.certificates, self.fault, self.taken = certificates, None, []

    def misbehave(self, name, what):
        self.calm()
        self.fault = Fault(name, what)
        return self.fault

    def calm(self):
        """All is well from now on, and what is stuck is let go."""
        if self.fault:
            self.fault.over.set()
        self.fault = None

    def serve(self, peer):
        number, fault = self.number(peer), self.fault
        tls = fault.what[1] if fault and fault.what[0] == "tls" else "good"
        if tls != "good":
            fault.met += 1
        if self.certificates:
            peer = self.certificates[tls].wrap_socket(peer, server_side=True)
        with peer:
            try:
                self.talk(peer, number, fault if tls == "good" else None)
            except Over:
                pass

    def stuck(self, peer, fault, what, text):
        """The ways not to answer that all protocols share."""
        fault.met += 1
        if what == "silent":
            fault.over.wait()
        elif what == "dribble":
            for byte in text:
                peer.sendall(bytes([byte]))
                if fault.over.wait(1):
                    break
        raise Over


class Mail(Peer):
    """SMTP. A fault is (stage, what): greeting, ehlo, mail, rcpt, data, text (amid the mail) or body (after its dot), and
    a reply or drop, silent, dribble."""

    POLITE = {"EHLO": ("ehlo", "250 hello"), "HELO": ("ehlo", "250 hello"), "MAIL": ("mail", "250 ok"),
              "RCPT": ("rcpt", "250 ok"), "DATA": ("data", "354 go on"), "RSET": ("rset", "250 ok")}

    def talk(self, peer, number, fault):
        stream = peer.makefile("rb")

        def answer(stage, text):
            """True: the server is content."""
            if fault and fault.what[0] == stage:
                if fault.what[1] in ("drop", "silent", "dribble"):
                    self.stuck(peer, fault, fault.what[1], text.encode() + b"\r\n")
                fault.met += 1
                text = fault.what[1]
            peer.sendall(text.encode() + b"\r\n")
            if text.startswith("421"):
                raise Over
            return text[0] in "23"

        answer("greeting", "220 ready")
        while line := stream.readline(4096):
            verb = line.decode("latin-1").split(" ")[0].strip().upper()
            if verb == "QUIT":
                answer("quit", "221 bye")
                return
            stage, text = self.POLITE.get(verb, ("other", "500 what?"))
            if not answer(stage, text) or verb != "DATA":
                continue
            lines = []
            while (line := stream.readline()) != b".\r\n":
                if not line or fault and fault.what == ("text", "drop"):
                    fault and self.stuck(peer, fault, "drop", b"")
                    return
                lines.append(line[1:] if line.startswith(b".") else line)
            raw = b"".join(lines)
            ident = email.message_from_bytes(raw, policy=email.policy.default)["Message-ID"]
            taken = Taken(number, ident.strip("<>").split("@")[0], raw, not (fault and fault.what[0] == "body"))
            self.taken.append(taken)
            answer("body", "250 queued")


class Hook(Peer):
    """HTTP. A fault is (what, detail): a status with, for 429, the seconds of Retry-After; or drop, silent, dribble,
    endless."""

    def talk(self, peer, number, fault):
        stream = peer.makefile("rb")
        if not (first := stream.readline(65536)):
            return
        headers = http.client.parse_headers(stream)
        length = int(headers.get("content-length", "0"))
        body = stream.read(length)
        if len(body) < length:
            return
        document = json.loads(body)
        events = [event["id"] for event in (document if isinstance(document, list) else [document])]
        what, detail = fault.what if fault else ("204", None)
        self.taken.append(Taken(number, headers["webhook-id"], body, what in ("204", "endless"), events))
        status = {"dribble": "204", "silent": "204", "endless": "200"}.get(what, what)
        head = f"HTTP/1.1 {status} X\r\nConnection: close\r\n"
        if what == "302":
            head += f"Location: {first.split()[1].decode()}\r\n"
        if detail:
            head += f"Retry-After: {detail}\r\n"
        head += "\r\n" if what in ("204", "dribble", "endless") else "Content-Length: 0\r\n\r\n"
        if what in ("drop", "silent", "dribble"):
            self.stuck(peer, fault, what, head.encode())
        if fault:
            fault.met += 1
        peer.sendall(head.encode())
        while what == "endless" and not fault.over.is_set():
            peer.sendall(b"x" * 65536)


class Names(threading.Thread):
    """DNS on 127.0.0.1:53: every name is 127.0.0.1; nothing at all while .hanging."""

    def __init__(self):
        super().__init__(daemon=True)
        self.hanging, self.unanswered = False, 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self.start()

    def run(self):
        while True:
            question, peer = self._socket.recvfrom(4096)
            if self.hanging:
                self.unanswered += 1
                continue
            end = question.index(b"\0", 12) + 5
            kind = struct.unpack_from(">H", question, end - 4)[0]
            address = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if kind == 1 else b""
            head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if address else 0, 0, 0)
            self._socket.sendto(head + question[12:end] + address, peer)


def contexts(good, wrong, expired):
    """Of three servers.Ca-like things with .cert and .key."""
    made = {}
    for name, one in (("good", good), ("wrong", wrong), ("expired", expired)):
        made[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made[name].load_cert_chain(one.cert, one.key)
    return made
