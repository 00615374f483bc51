"""Reads what lies in a mailbox: new messages by their UIDs, and what their senders wrote."""

import email
import hashlib
import imaplib
import re
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import parseaddr
from html.parser import HTMLParser

from mailparser_reply import EmailReplyParser

from assistants.errors import MailFailed

MAX_BYTES = 1_000_000  # Of one message; its text stands before what is attached.
MESSAGES_AT_ONCE = 20
MAX_TEXT = 20_000
MAX_ID = 100  # Of Message.external_id.
ENDS_LINE = {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote"}
UNSEEN = {"script", "style", "head", "title"}
# Lines above what a Chinese mail program quotes; the library knows those of other languages.
QUOTE_HEADS = re.compile(
    r"""^(?:
    [-_—\ ]*\s*(?:原始邮件|原邮件|转发邮件)\s*[-_—\ ]*
    | .{0,200}(?:@|\d{4}).{0,200}写道\s*[：:]
    | 发件人\s*[：:].*
    )\s*$""",
    re.M | re.X,
)
_replies = EmailReplyParser(languages=["en", "zh"])


@dataclass(frozen=True)
class Mail:
    """One e-mail of a person. `message_id` and `references` name it in the replies to it."""

    sender: str
    subject: str
    text: str
    message_id: str
    references: str

    @property
    def external_id(self) -> str:
        """The same for each time this e-mail is read."""
        if len(self.message_id) <= MAX_ID and self.message_id.isprintable():
            return self.message_id
        return hashlib.sha256(self.message_id.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True)
class NewMail:
    """What came since a UID: (uid, content) of each, the oldest first."""

    uid_validity: int
    last_uid: int
    messages: list[tuple[int, bytes]]


def fetch_new(
    mailbox: imaplib.IMAP4,
    folder: str,
    *,
    uid_validity: int | None,
    last_uid: int,
    checked_at: datetime | None,
) -> NewMail:
    """What came since. A mailbox that is read for the first time begins with the next message.

    Once the server has numbered its messages anew, those since the day it was read last come
    again: whoever stores them knows them by their ids. Raises MailFailed, and imaplib's errors.
    """
    _expect_ok(mailbox.select(_quoted(folder), readonly=True), f"There is no folder {folder!r}.")
    values = mailbox.response("UIDVALIDITY")[1]
    validity = int(values[0] or 0) if values else 0
    if uid_validity is None or checked_at is None:
        return NewMail(validity, max(_search(mailbox, "ALL"), default=0), [])
    if validity == uid_validity:
        criterion, begins = f"UID {last_uid + 1}:*", last_uid
    else:
        criterion, begins = f"SINCE {imaplib.Time2Internaldate(checked_at)[1:12].strip()}", 0
    uids = [uid for uid in _search(mailbox, criterion) if uid > begins][:MESSAGES_AT_ONCE]
    fetched = [(uid, _fetch(mailbox, uid)) for uid in uids]
    # Empty: somebody deleted it meanwhile.
    messages = [(uid, content) for uid, content in fetched if content]
    return NewMail(validity, max(uids, default=begins), messages)


def parse_mail(content: bytes) -> Mail | None:
    """What a person wrote, without what they quote. None for mail of programs and lists, which
    nobody answers (RFC 3834). Raises ValueError for what is no e-mail."""
    try:
        message = email.message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return None if _is_automatic(message) else _read(message)
    except (AttributeError, IndexError, KeyError, LookupError, TypeError, AssertionError) as fault:
        # The standard library raises these for headers and bodies that no program should write.
        raise ValueError(f"This e-mail is malformed: {fault}") from fault


def _read(message: EmailMessage) -> Mail:
    # The one who is answered is the one who is known: else a forged From with a Reply-To of their
    # own would let a stranger read what is written to somebody else.
    answer_to = message.get("Reply-To") or message.get("From", "")
    sender = parseaddr(str(answer_to))[1].lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", sender):
        raise ValueError("This e-mail names no sender.")
    message_id = str(message.get("Message-ID", "")).strip()
    if not message_id:
        message_id = f"<{hashlib.sha256(message.as_bytes()).hexdigest()}>"
    references = " ".join(str(message.get("References", "")).split())
    subject = " ".join(str(message.get("Subject", "")).split())[:200]
    text = without_quotes(_text_of(message))[:MAX_TEXT]
    return Mail(sender, subject, text, message_id, references[-2_000:])


def _is_automatic(message: EmailMessage) -> bool:
    """Whether a program sent it: an answering machine, a list, a newsletter, a bounce."""
    automatic = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower() != "no"
    precedence = str(message.get("Precedence", "")).strip().lower()
    is_list = any(name in message for name in ("List-Id", "List-Unsubscribe", "X-Autoreply"))
    is_bounce = str(message.get("Return-Path", "x")).strip() == "<>"
    is_report = message.get_content_type() == "multipart/report"
    from_program = parseaddr(str(message.get("From", "")))[1].lower().startswith("mailer-daemon@")
    is_bulk = precedence in {"bulk", "list", "junk", "auto_reply"}
    return any((automatic, is_list, is_bounce, is_report, from_program, is_bulk))


def _text_of(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    assert isinstance(part, EmailMessage)
    content = str(part.get_content())
    if part.get_content_subtype() == "html":
        content = _HtmlText.of(content)
    return content.replace("\r\n", "\n")


class _HtmlText(HTMLParser):
    """The words of a page, a line for each of its blocks."""

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []
        self._unseen = 0

    @classmethod
    def of(cls, html: str) -> str:
        parser = cls()
        parser.feed(html)
        parser.close()
        lines = "".join(parser._words).splitlines()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in lines))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in UNSEEN
        if tag == "br":
            self._words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in UNSEEN))
        if tag in ENDS_LINE:
            self._words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._words.append(" ".join(data.split("\n")))


def is_reply(subject: str) -> bool:
    return subject.lower().startswith(("re:", "aw:", "回复", "答复"))


def without_quotes(text: str) -> str:
    """What the sender wrote. All of it, where nothing would be left."""
    head = QUOTE_HEADS.search(text)
    own = text[: head.start()] if head else text
    parsed = _replies.parse_reply(text=own) if own.strip() else ""
    lines = [line for line in str(parsed or "").splitlines() if not line.startswith(">")]
    return "\n".join(lines).strip() or text.strip()


def _search(mailbox: imaplib.IMAP4, criterion: str) -> list[int]:
    data = _expect_ok(mailbox.uid("SEARCH", criterion), "The mailbox cannot be searched.")
    return sorted(int(word) for word in b" ".join(filter(None, data)).split())


def _fetch(mailbox: imaplib.IMAP4, uid: int) -> bytes:
    """The message from its beginning; marked as unread as it was."""
    answer = mailbox.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_BYTES}>)")
    data = _expect_ok(answer, "A message cannot be read.")
    parts: list[object] = list(data)  # imaplib's stubs know of no literals.
    return b"".join(part[1] for part in parts if isinstance(part, tuple))


def _expect_ok(answer: tuple[str, list[bytes | None]], otherwise: str) -> list[bytes | None]:
    kind, data = answer
    if kind != "OK":
        raise MailFailed(otherwise)
    return data


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
