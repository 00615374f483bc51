"""Sends what people replied, again and again until it is taken or given up."""

import logging
from collections.abc import Callable
from datetime import timedelta

import httpx
from django.shortcuts import get_object_or_404
from django.utils.timezone import now

from accounts.webhooks import secret_encryption
from assistants.conversations import state
from assistants.errors import DeliveryNotFailed, MailFailed, WaitsForVisitor, WechatRefused
from assistants.mail.sending import send_reply
from assistants.models import Channel, Conversation, Delivery
from assistants.wechat import replying
from assistants.wechat.messages import cut_text
from web.enqueue import enqueue_on_commit
from web.row_queue import claim_rows, retry_at, update_claimed

logger = logging.getLogger(__name__)

CLAIM = timedelta(minutes=5)
RETRY_SECONDS = (30, 120, 600, 3600)
MOST_ATTEMPTS = 6
AT_ONCE = 20


def deliver_due() -> int:
    """Send what is due; returns how many were taken."""
    sent = 0
    for _ in range(AT_ONCE):
        due = Delivery.objects.filter(next_at__lte=now()).order_by("next_at")
        rows = claim_rows(  # One by one: a claim must not end while others are being sent.
            due.select_related("message__conversation", "message__channel__assistant__team"),
            limit=1,
            next_at=now() + CLAIM,
        )
        if not rows:
            break
        sent += _deliver(rows[0])
    return sent


def _deliver(row: Delivery) -> bool:
    message, gives_up = row.message, row.attempts >= MOST_ATTEMPTS
    try:
        SENDERS[message.channel.kind](row)
    except (MailFailed, WechatRefused) as refusal:
        problem = refusal.sentence
        gives_up |= isinstance(refusal, WaitsForVisitor)
    except httpx.HTTPError as failure:
        problem = f"WeChat could not be reached: {type(failure).__name__}."
    except Exception:  # Whatever is wrong with one reply, the next ones are sent.
        logger.exception("A reply could not be sent")
        problem = "This reply could not be sent: the operator's log says why."
    else:
        problem = ""
    if problem:
        next_at = None if gives_up else retry_at(row.attempts, RETRY_SECONDS)
        update_claimed(row, problem=problem[:300], next_at=next_at)
        logger.warning("A reply was not delivered: %s", problem)
    else:
        update_claimed(row, problem="", next_at=None, sent_at=now())
    state.announce(message.conversation)
    return not problem


def send_again(conversation: Conversation, message_id: int) -> None:
    """Try a reply anew that was given up. Raises DeliveryNotFailed."""
    row = get_object_or_404(Delivery, message_id=message_id, message__conversation=conversation)
    failed = Delivery.objects.filter(pk=row.pk, sent_at=None, next_at=None)
    if not failed.update(next_at=now(), attempts=0):
        raise DeliveryNotFailed
    enqueue_on_commit("assistants.tasks.deliver_replies")
    state.announce(conversation)


def _send_to_wechat(row: Delivery) -> None:
    """As many messages as the text needs; a part that was taken is not sent again."""
    message = row.message
    if not message.channel.settings.get("customer_messages"):
        raise WaitsForVisitor
    recipient = secret_encryption.decrypt(message.conversation.contact)
    while rest := message.text[row.sent_characters :]:
        part, _ = cut_text(rest)
        replying.send_message(message.channel, recipient, part)
        if not update_claimed(row, sent_characters=row.sent_characters + len(part)):
            return  # Another worker goes on with it.


def _send_by_mail(row: Delivery) -> None:
    send_reply(row.message)


SENDERS: dict[str, Callable[[Delivery], None]] = {
    Channel.Kind.EMAIL: _send_by_mail,
    Channel.Kind.WEB: _send_by_mail,
    Channel.Kind.WECHAT: _send_to_wechat,
}
