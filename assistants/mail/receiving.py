"""Mail that came: each becomes a message in the inbox, with a draft of the answer beside it."""

import json
import logging
from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts.webhooks import secret_encryption
from assistants.answering.deciding import decide
from assistants.answering.language import detect_language
from assistants.answering.masking import mask
from assistants.answering.spending import is_daily_budget_spent
from assistants.consultations.lookups import find_live_version
from assistants.consultations.originals import seal_original
from assistants.conversations import consulting, state
from assistants.conversations.situations import situation_of
from assistants.errors import AssistantNotLive, MailFailed
from assistants.mail.account import MailAccount, open_mailbox
from assistants.mail.reading import Mail, fetch_new, is_reply, parse_mail
from assistants.models import (
    Channel,
    Conversation,
    Decision,
    Mailbox,
    Message,
    Version,
    Visitor,
)
from web.row_queue import claim_rows, retry_at, update_claimed

logger = logging.getLogger(__name__)

EVERY = timedelta(seconds=60)
CLAIM = timedelta(minutes=5)
RETRY_SECONDS = (60, 300, 900, 3600)
MAILBOXES_AT_ONCE = 10
SAID_ALONE = {*Decision.ANSWERED, Decision.Route.RULE}


def read_due_mailboxes() -> int:
    """Read the mailboxes whose minute has passed; returns the e-mails that were stored."""
    stored = 0
    for _ in range(MAILBOXES_AT_ONCE):
        due = Mailbox.objects.filter(
            next_at__lte=now(), channel__disabled_at=None
        ).exclude(channel__assistant__state="retired")  # fmt: skip
        rows = claim_rows(  # One by one: a claim must not end while others are being read.
            due.select_related("channel__assistant__team").order_by("next_at"),
            limit=1,
            attempts="tries",
            next_at=now() + CLAIM,
        )
        if not rows:
            break
        stored += _read(rows[0])
    return stored


def _read(row: Mailbox) -> int:
    try:
        stored, problem = read_mailbox(row)
    except MailFailed as failure:
        return _keep_problem(row, failure.sentence)
    except Exception:  # Whatever is wrong with one mailbox, the next ones are read.
        logger.exception("A mailbox could not be read")
        return _keep_problem(row, "It could not be read: the operator's log says why.")
    outcome = {"problem": problem, "checked_at": now(), "next_at": now() + EVERY}
    if update_claimed(row, attempts="tries", **outcome):
        Mailbox.objects.filter(pk=row.pk, tries=row.tries).update(tries=0)
    return stored


def _keep_problem(row: Mailbox, sentence: str) -> int:
    next_at = retry_at(row.tries, RETRY_SECONDS)
    update_claimed(row, attempts="tries", problem=sentence[:300], next_at=next_at)
    return 0


def read_mailbox(row: Mailbox) -> tuple[int, str]:
    """Store what came since the last look: how many, and a sentence about those that could not be
    read. Raises MailFailed. What is stored twice is stored once: by its Message-ID."""
    account = MailAccount.of(row.channel)
    with open_mailbox(account) as mailbox:
        new_mail = fetch_new(
            mailbox,
            account.folder,
            uid_validity=row.uid_validity,
            last_uid=row.last_uid,
            checked_at=row.checked_at,
        )
    stored, problem = 0, ""
    for uid, content in new_mail.messages:
        try:
            mail = parse_mail(content)
        except ValueError as fault:
            logger.warning("E-mail %d of channel %s: %s", uid, row.channel_id, fault)
            problem = f"An e-mail could not be read (UID {uid}): open it in the mailbox itself."
            mail = None
        if mail is not None and mail.sender != account.address.lower():
            stored += receive(row.channel, mail)
        Mailbox.objects.filter(pk=row.pk).update(last_uid=uid)
    Mailbox.objects.filter(pk=row.pk).update(
        uid_validity=new_mail.uid_validity, last_uid=new_mail.last_uid
    )
    return stored, problem


def receive(channel: Channel, mail: Mail) -> bool:
    """Put it into the inbox, then draft an answer. False where it was stored before.

    A mail waits for a person whether or not the assistant is live: only the draft needs it.
    """
    assistant = channel.assistant
    original = consulting.printable(_text_with_subject(mail))
    text = mask(original)
    language = detect_language(text, assistant.languages)
    sealed = seal_original(assistant, original, text)
    message = _store(channel, mail, text, language, sealed)
    if message is None:
        return False
    try:
        version = find_live_version(assistant)
    except AssistantNotLive:
        return True
    if not is_daily_budget_spent(assistant):
        _draft(version, message, text[: consulting.MAX_CHARS], language, original)
    return True


def _text_with_subject(mail: Mail) -> str:
    if not mail.subject or is_reply(mail.subject) or mail.subject in mail.text:
        return mail.text or mail.subject or "(empty)"
    return f"{mail.subject}\n\n{mail.text}".strip()


@transaction.atomic
def _store(channel: Channel, mail: Mail, text: str, language: str, original: str) -> Message | None:
    known = Message.objects.filter(channel=channel, external_id=mail.external_id)
    if known.exists():
        return None
    name = consulting.hash_visitor(channel, mail.sender)
    visitor, _ = Visitor.objects.get_or_create(channel=channel, external_hash=name)
    if visitor.is_blocked:
        return None
    # One open conversation a visitor: a second e-mail joins the first.
    current = Conversation.objects.filter(visitor=visitor).exclude(state="closed")
    conversation = current.first() or Conversation.objects.create(
        channel=channel, visitor=visitor, language=language
    )
    locked = state.lock(conversation)
    locked.contact = secret_encryption.encrypt(json.dumps(_contact(mail)))
    locked.save(update_fields=["contact"])
    message = state.append_message(
        locked, Message.Author.VISITOR, text, external_id=mail.external_id, original=original
    )
    state.wait_for_person(locked, "email")
    state.announce(locked)
    return message


def _contact(mail: Mail) -> dict[str, str]:
    references = f"{mail.references} {mail.message_id}".strip()
    return {
        "to": mail.sender,
        "subject": mail.subject,
        "message_id": mail.message_id,
        "references": references,
    }


def _draft(version: Version, message: Message, text: str, language: str, original: str) -> None:
    situation = situation_of(version, message, text, language, original=original)
    outcome = decide(version, situation, asked_back=True)  # Nobody clicks in an e-mail.
    draft = outcome.text if outcome.route in SAID_ALONE else ""
    known = consulting.remembered(message.conversation, outcome)
    outcome.route, outcome.question = Decision.Route.DRAFT, outcome.question or text
    decision = consulting.decision_of(message, version, outcome, language)
    decision.draft, decision.for_audit = draft, False
    decision.save(force_insert=True)
    Conversation.objects.filter(pk=message.conversation_id).update(version=version, **known)
