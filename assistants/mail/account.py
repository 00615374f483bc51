"""A mailbox's account, and connections to its servers: public ones only, over TLS, bounded."""

import imaplib
import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from accounts.webhooks import secret_encryption
from accounts.webhooks.http_client import ssl_context
from accounts.webhooks.ssrf_guard import ForbiddenAddress, connect_allowed
from assistants.errors import MailFailed
from assistants.models import Channel

WAIT_SECONDS = 15.0  # For each answer of a server.
SESSION_SECONDS = 60.0  # For all of them: a server may send a byte a minute.
TLS_FROM_THE_START = 465  # SMTP's port (RFC 8314); at any other TLS is asked for, and demanded.


@dataclass(frozen=True)
class MailAccount:
    """Where mail is read (IMAP over TLS) and sent (SMTP over TLS)."""

    address: str
    imap_host: str
    smtp_host: str
    username: str
    password: str
    imap_port: int = 993
    smtp_port: int = TLS_FROM_THE_START
    folder: str = "INBOX"

    @classmethod
    def of(cls, channel: Channel) -> "MailAccount":
        """Raises MailFailed where the channel has none."""
        if not channel.secrets:
            raise MailFailed("This channel is not set up.")
        return cls(**json.loads(secret_encryption.decrypt(channel.secrets)))

    def sealed(self) -> str:
        return secret_encryption.encrypt(json.dumps(vars(self)))

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class _Imap(imaplib.IMAP4_SSL):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        raw = connect_allowed(self.host, self.port, WAIT_SECONDS)
        return ssl_context().wrap_socket(raw, server_hostname=self.host)


class _Smtp(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        raw = connect_allowed(host, port, WAIT_SECONDS)
        if port != TLS_FROM_THE_START:
            return raw
        return ssl_context().wrap_socket(raw, server_hostname=host)


@contextmanager
def open_mailbox(account: MailAccount) -> Iterator[imaplib.IMAP4]:
    """Signed in. Raises MailFailed for whatever the server or the network does."""
    with _told_as_sentences(account.imap_host):
        mailbox = _Imap(account.imap_host, account.imap_port, timeout=WAIT_SECONDS)
        with _ends_in_time(mailbox.sock):
            try:
                mailbox.login(account.username, account.password)
                yield mailbox
            finally:
                with suppress(OSError, imaplib.IMAP4.error):
                    mailbox.logout()


@contextmanager
def open_outgoing(account: MailAccount) -> Iterator[smtplib.SMTP]:
    """Signed in. Raises MailFailed, also for a server that offers no TLS."""
    with _told_as_sentences(account.smtp_host):
        server = _Smtp(
            account.smtp_host,
            account.smtp_port,
            local_hostname=account.domain,
            timeout=WAIT_SECONDS,
        )
        with _ends_in_time(server.sock):
            try:
                if account.smtp_port != TLS_FROM_THE_START:
                    server.starttls(context=ssl_context())
                server.login(account.username, account.password)
                yield server
            finally:
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()


@contextmanager
def _ends_in_time(sock: socket.socket | None) -> Iterator[None]:
    def end() -> None:
        with suppress(OSError):
            assert sock is not None
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(SESSION_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _told_as_sentences(host: str) -> Iterator[None]:
    try:
        yield
    except ForbiddenAddress as refusal:
        raise MailFailed(f"{host}: {refusal}") from refusal
    except ssl.SSLCertVerificationError as problem:
        raise MailFailed(
            f"{host} shows a certificate that nobody vouches for: {problem.verify_message}."
        ) from problem
    except TimeoutError as problem:
        raise MailFailed(f"{host} gave no answer within {WAIT_SECONDS:.0f} seconds.") from problem
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPResponseException) as problem:
        raise MailFailed(f"{host} said: {_words(problem.smtp_error)}") from problem
    except (imaplib.IMAP4.error, smtplib.SMTPException) as problem:
        reason = problem.args[0] if problem.args else type(problem).__name__
        raise MailFailed(f"{host} said: {_words(reason)}") from problem
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise MailFailed(f"{host} could not be reached: {reason}.") from problem


def _words(reason: object) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return "".join(letter for letter in text if letter.isprintable() or letter == " ")[:200]
