"""The mailbox of a guest. Every mail in it is taken apart by Python's email package, which raises on any defect, and every
line of it has to be one that is meant to be there."""

import datetime
import email
import email.policy
import re

import world

STRICT = email.policy.strict.clone(utf8=False)
LINE_MAX, FOLDED_MAX = 998, 78  # RFC 5322, 2.1.1: must, should
ONCE = ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding"]
THREAD = ["References", "In-Reply-To"]
TRACE = ["Received"]  # the server's
MESSAGE_ID = re.compile(rf"<[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}@{re.escape(world.HOST)}>")

_CLOCK = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC"
_WHY = r"(?:exit status \d+|killed by SIG[A-Z]+(?:, core dumped)?|killed for want of memory)"
_AGE = r"\d+ \w+(?: \d+ \w+)?"
_WHO = r"(?:unknown owner|\S+)(?: for \S+)?(?: \(user \S+\))?"
_WHERE = (r"(?:all IPv4 addresses|all IPv6 addresses|all IPv4 and IPv6 addresses|this host only|[0-9a-f.:]+"
          r"(?:, [0-9a-f.:]+)*)")
_UNIT = r"\S+\.(?:service|socket)"
_ROW = r"(?:tcp6?|udp6?|udplite6?) +(?:[0-9a-f:.]+|\[\S+\]):\d+ +\S.*"
# Each line of a body is one of these, whole.
LINES = re.compile("|".join(f"(?:{line})" for line in [
    r"",
    # learned
    r"portwatch took what it found on this host as what is expected\.",
    r"From now on it tells when a port opens, closes, or changes address or owner\.",
    r"That you read this shows that (?:its|portwatch's) messages arrive\.",
    r"\d+ ports?, \d+ address(?:es)?:",
    r"On addresses that others can send to:",
    r"On this host only:",
    rf"  {_ROW}",
    # test
    r"This is a test, asked for on the command line\. Nothing is wrong\.",
    # what stands, and what did
    rf"(?:(?:Since {_CLOCK}|Now) )?{_WHO} listens on {_WHERE}\.",
    rf"(?:Since {_CLOCK}|Now) nobody listens on \d+/tcp(?: \(.*\))?\.",
    r"Until then nothing was expected on this port\.",
    rf"Until then, (?:for {_AGE}, )?(?:{_WHO} listened )?on {_WHERE}\.",
    r"The configuration says that (?:it must be open|nothing may listen here)\.",
    # what is over
    rf"Since {_CLOCK} \d+/tcp(?: \(.*\))? is closed again, as expected\.",
    rf"Since {_CLOCK} {_WHO} listens(?: again)? on {_WHERE}, as expected(?: again)?\.",
    rf"It was (?:open|closed|different) for {_AGE}, since {_CLOCK}\.",
    rf"\S+ accepted what stands now on \d+/tcp(?: \(.*\))?, at {_CLOCK}\.",
    r"Reason: \S.*",
    r"In order:",
    # portwatch itself
    r"(?:the configuration was not taken at the last reload, the one before is in force|"
    r"running the last good configuration, since the present one is not valid): \S.*",
    # rows, owners, and what to do
    rf"[-+ ] {_ROW}",
    r"(?:Owner|Was  )  (?:\S+|no known unit), /\S+, (?:socket held by /\S+, )?user \S+(?:, pid \d+)?",
    r"Owner  not known",
    r"Args   \S.*",
    # why: how its unit ended, its last lines in the journal
    rf"Cause  {_UNIT} failed at {_CLOCK}: {_WHY}",
    # nobody had looked at who held the port since the restart
    rf"Cause  {_UNIT} was restarted at {_CLOCK} on request; started again, it failed at {_CLOCK}: {_WHY}",
    rf"Cause  {_UNIT} was stopped at {_CLOCK} on request",
    rf"Cause  {_UNIT} is not running(?:; its process \d+ has ended)?",
    r"       \| [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+\[\d+\]: \S.*",
    r"On gate:",
    r"  look   portwatch (?:explain \d+|list(?: \d+)?|status|check-config|diff)",
    rf"  start  sudo systemctl (?:re)?start {_UNIT}",
    r"  keep   sudo portwatch accept (?:[A-Z2-9]{4}|--all) --reason \"\.\.\.\"",
    r"  later  sudo portwatch ack [A-Z2-9]{4}",
    # several events in one
    rf"\d+ changes on {re.escape(world.HOST)}, the most urgent first:",
    r"  (?:CRITICAL|WARNING|RESOLVED|INFO) +(?:[A-Z2-9]{4}|-) +\S.*",
    r"--- \d+\. (?:CRITICAL|WARNING|RESOLVED|INFO) \S.*",
    # the foot
    r"Seen: all host sockets\.(?: Not seen: (?P<unseen>[^.]+)\.)?",
]))


class Mail:
    """.subject .text .id .references; .raw as the server stored it."""

    def __init__(self, raw):
        self.raw = raw
        message = email.message_from_bytes(raw, policy=STRICT)
        self.subject, self.id = str(message["Subject"]), str(message["Message-ID"])
        self.references = str(message["References"] or "").split()
        self.message = message
        self.text = message.get_content()

    def body_lines(self):
        return self.text.split("\n")

    def examine(self, unseen=r""):
        """Raises AssertionError with what is wrong. unseen: what the foot names as not seen, a regular expression; "":
        nothing."""
        self._bytes()
        self._headers()
        self._structure()
        self._body(unseen)

    def _bytes(self):
        assert self.raw.endswith(b"\n") and b"\r" not in self.raw and b"\0" not in self.raw, "line ends"
        assert self.raw.isascii(), "not 7 bit"
        head, _, body = self.raw.partition(b"\n\n")
        for line in head.split(b"\n"):
            own = not line.startswith((b"Received", b"\t"))
            assert len(line) <= (FOLDED_MAX if own else LINE_MAX), f"header line of {len(line)} bytes: {line}"
        assert all(len(line) <= LINE_MAX for line in body.split(b"\n")), "body line too long"

    def _headers(self):
        message = self.message
        for name, value in message.items():
            assert name in ONCE + THREAD + TRACE, f"unexpected header {name}"
            assert not getattr(value, "defects", ()), f"{name}: {value.defects}"
            # the server folds its own lines with tabs
            assert str(value).replace("\t", " ").isprintable(), f"{name}: {value!r}"
        for name in ONCE:
            assert len(message.get_all(name, [])) == 1, f"header {name} stands {len(message.get_all(name, []))} times"
        sender, = message["From"].addresses
        assert sender.addr_spec == world.SENDER, f"From: {message['From']}"
        assert [a.addr_spec for a in message["To"].addresses] == [world.RECIPIENT], f"To: {message['To']}"
        date = message["Date"].datetime
        age = datetime.datetime.now(datetime.timezone.utc) - date
        assert date.utcoffset() == datetime.timedelta(0) and -5 < age.total_seconds() < 1800, f"Date: {message['Date']}"
        assert self.subject.startswith(f"[{world.HOST}] ") and len(self.subject) <= 250, f"Subject: {self.subject}"
        assert MESSAGE_ID.fullmatch(self.id), f"Message-ID: {self.id}"
        assert message["Auto-Submitted"] == "auto-generated", f"Auto-Submitted: {message['Auto-Submitted']}"
        assert message["MIME-Version"] == "1.0", f"MIME-Version: {message['MIME-Version']}"
        for reference in self.references:
            assert MESSAGE_ID.fullmatch(reference), f"References: {reference}"
        if self.references:
            assert message["In-Reply-To"] == self.references[-1], f"In-Reply-To: {message['In-Reply-To']}"
        else:
            assert message["In-Reply-To"] is None, "In-Reply-To without References"
        # what the server says of how it got it
        received, = message.get_all("Received")
        assert " with esmtpsa " in received and "(TLS1." in received, f"not by STARTTLS and AUTH: {received}"

    def _structure(self):
        message = self.message
        assert not message.is_multipart() and not message.is_attachment(), "several parts"
        assert message.get_content_type() == "text/plain" and message.get_content_charset() == "utf-8", message["Content-Type"]
        assert message["Content-Transfer-Encoding"] in ("7bit", "quoted-printable"), message["Content-Transfer-Encoding"]
        assert not message.defects, message.defects

    def _body(self, unseen):
        decoded = self.message.get_payload(decode=True).decode("utf-8", "strict")
        assert decoded == self.text and self.text.endswith("\n"), "body does not decode to itself"
        for line in self.text.split("\n"):
            assert line.isprintable(), f"control character in {line!r}"
            assert LINES.fullmatch(line), f"no line that is meant to be there: {line!r}"
        foot = self.text.rstrip("\n").split("\n")[-1]
        assert foot.startswith("Seen: "), f"the last line is {foot!r}"
        not_seen = LINES.fullmatch(foot)["unseen"] or ""
        assert re.fullmatch(unseen, not_seen), f"the foot does not see {not_seen!r}"
        assert "\n\n\n" not in self.text and not self.text.startswith("\n"), "stray empty lines"


class Mailbox:
    """What has arrived in a guest's maildir, in the order in which the server took it."""

    def __init__(self, guest):
        self._guest, self._known = guest, {}

    def mails(self):
        new = self._guest.path(world.MAILBOX + "/new")
        for path in new.glob("*") if new.is_dir() else ():
            if path.name not in self._known:
                self._known[path.name] = Mail(path.read_bytes())
        return sorted(self._known.values(), key=accepted)

    def find(self, pattern):
        """The mails whose subject matches."""
        return [mail for mail in self.mails() if re.search(pattern, mail.subject)]

    def subjects(self):
        return [mail.subject for mail in self.mails()]


def accepted(mail):
    """Exim's message id begins with the second in which it was taken, and ends with the fraction, in base 62."""
    found = re.search(rb"\bid ([0-9A-Za-z]{6})-[0-9A-Za-z]+-([0-9A-Za-z]+)", mail.raw)
    return found.groups()
