"""A mail server for tests: IMAP and SMTP over TLS on this machine, with a mailbox in memory."""

import datetime
import ipaddress
import re
import socketserver
import ssl
import threading
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.inference.processes import free_port

USER, PASSWORD = "help@shop.test", "a password"


class Mailbox:
    """What lies in it, by UID, and how often it was opened."""

    def __init__(self) -> None:
        self.validity, self.messages, self.sessions = 7, {}, 0
        self.sent: list[bytes] = []
        self.refuses = ""  # What SMTP says to every message, if anything.

    def put(self, content: str | bytes, uid: int | None = None) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        self.messages[uid or max(self.messages, default=0) + 1] = data.replace(b"\n", b"\r\n")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    today = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(today - day).not_valid_after(today + day)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


class _ImapSession(socketserver.StreamRequestHandler):
    """As much of RFC 3501 as a reader of new messages needs."""

    def handle(self) -> None:
        box: Mailbox = self.server.box
        box.sessions += 1
        self.say("* OK ready")
        for line in iter(self.rfile.readline, b""):
            tag, _, rest = line.decode().strip().partition(" ")
            if not self.answer(box, tag, rest):
                return

    def say(self, text: str | bytes) -> None:
        self.wfile.write((text if isinstance(text, bytes) else text.encode()) + b"\r\n")

    def answer(self, box: Mailbox, tag: str, rest: str) -> bool:
        command = rest.upper()
        if command.startswith("CAPABILITY"):
            self.say("* CAPABILITY IMAP4rev1")
        elif command.startswith("LOGIN"):
            if rest.split(" ", 1)[1] != f'{USER} "{PASSWORD}"':
                self.say(f"{tag} NO [AUTHENTICATIONFAILED] Invalid credentials")
                return True
        elif command.startswith(("SELECT", "EXAMINE")):
            if '"INBOX"' not in rest:
                self.say(f"{tag} NO no such mailbox")
                return True
            self.say(f"* {len(box.messages)} EXISTS")
            self.say(f"* OK [UIDVALIDITY {box.validity}] valid")
        elif command.startswith("UID SEARCH"):
            self.say("* SEARCH " + " ".join(map(str, self.found(box, command))))
        elif command.startswith("UID FETCH"):
            uid = int(command.split()[2])
            limit = int(re.search(r"<0\.(\d+)>", command)[1])
            data = box.messages[uid][:limit]
            self.say(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(data)}}}".encode())
            self.wfile.write(data + b")\r\n")
        elif command.startswith("LOGOUT"):
            self.say("* BYE")
            self.say(f"{tag} OK bye")
            return False
        self.say(f"{tag} OK done")
        return True

    def found(self, box: Mailbox, command: str) -> list[int]:
        uids = sorted(box.messages)
        if (since := re.search(r"UID (\d+):\*", command)) is None:
            return uids
        # RFC 3501, 6.4.8: the last message is in n:* even where its number is below n.
        return [uid for uid in uids if uid >= int(since[1])] or uids[-1:]


class _Imap(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, box: Mailbox, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _ImapSession)
        self.box = box
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no error."""


class _Receiver:
    def __init__(self, box: Mailbox) -> None:
        self.box = box

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        if self.box.refuses:
            return self.box.refuses
        self.box.sent.append(envelope.content)
        return "250 taken"


def _authenticate(server, session, envelope, mechanism, data) -> AuthResult:
    fits = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=fits, handled=fits)


class _Smtp(Controller):
    """TLS from the start with `ssl_context`, else on request with `tls_context`, else never."""

    def __init__(self, box: Mailbox, port: int, *, tls_context=None, **options) -> None:
        self.tls_context = tls_context
        super().__init__(_Receiver(box), hostname="127.0.0.1", port=port, **options)

    def factory(self) -> SMTP:
        return SMTP(
            self.handler,
            tls_context=self.tls_context,
            authenticator=_authenticate,
            auth_require_tls=False,
        )


@contextmanager
def smtp_server(box: Mailbox, **options):
    """Its port."""
    port = free_port()
    server = _Smtp(box, port, **options)
    server.start()
    try:
        yield port
    finally:
        server.stop()


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def mail_servers(box: Mailbox, folder: Path):
    """(IMAP's port, SMTP's port, the certificate) of servers that hold this mailbox."""
    certificate, key = make_certificate(folder)
    context = server_context(certificate, key)
    imap = _Imap(box, context)
    threading.Thread(target=imap.serve_forever, daemon=True).start()
    try:
        with smtp_server(box, ssl_context=context) as port:
            yield imap.server_address[1], port, certificate
    finally:
        imap.shutdown()
        imap.server_close()
