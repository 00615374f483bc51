"""Replies to WeChat in time: within four seconds, or by a message of its own afterwards.

WeChat waits five seconds and tries three times. An account that may send customer-service messages
gets `success` and one such message; another gets the finished answer at WeChat's next try.
"""

import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitTimeout
from dataclasses import dataclass

import httpx
from django.conf import settings
from django.core.cache import cache
from django.db import close_old_connections, transaction
from django.utils.timezone import now

from accounts.webhooks import secret_encryption
from assistants.conversations.consulting import Question, Reply, consult
from assistants.errors import WechatRefused
from assistants.models import Channel, Conversation, Delivery
from assistants.wechat.messages import Incoming, cut_text
from web.database.pool import lend_connection
from web.errors import UserError

logger = logging.getLogger(__name__)

REPLY_SECONDS = 4.0
SAID_SECONDS = 60  # WeChat tries three times within fifteen.
REST_SECONDS = 3600  # How long the rest of a long answer can be asked for.
TOKEN_MARGIN_SECONDS = 300
HTTP_TIMEOUT_SECONDS = 10.0
MORE = {"zh": "（回复 1 继续阅读）", "en": "(Send 1 to read on)"}
_threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="wechat")


@dataclass(frozen=True)
class Account:
    """The secrets of an official account. `encoding_key` is empty in plain mode."""

    app_id: str
    app_secret: str
    token: str
    encoding_key: str

    @classmethod
    def of(cls, channel: Channel) -> "Account":
        """Raises WechatRefused where the channel has none."""
        if not channel.secrets:
            raise WechatRefused("This channel is not set up.")
        return cls(**json.loads(secret_encryption.decrypt(channel.secrets)))

    def sealed(self) -> str:
        return secret_encryption.encrypt(json.dumps(vars(self)))


def reply_in_time(channel: Channel, message: Incoming) -> str | None:
    """The text to reply with; None: say `success`, nothing or a later message follows."""
    if message.kind == "event":
        return None
    if message.text.strip() == "1" and (rest := cache.get(_rest_key(channel, message))):
        return _first_part(channel, message, str(rest), "zh")
    future = _threads.submit(_ask, channel, message)
    lend_connection()
    try:
        reply = future.result(REPLY_SECONDS)
    except WaitTimeout:
        if channel.settings.get("customer_messages"):
            future.add_done_callback(lambda done: _send_later(channel, message, done))
        return None
    except UserError as problem:
        return problem.sentence
    if reply.route == "person" and not channel.settings.get("customer_messages"):
        waiting = take_waiting_replies(reply.conversation)
        text = _first_part(channel, message, waiting, reply.language) if waiting else None
        cache.set(_said_key(channel, message), text, SAID_SECONDS)
        return text
    if reply.route == "pending":  # WeChat tries again where it did not get what was said.
        again: str | None = cache.get(_said_key(channel, message))
        return again
    return _shown(channel, message, reply) if reply.response else None


def _ask(channel: Channel, message: Incoming) -> Reply:
    try:
        return consult(
            channel,
            Question(
                text=message.text,
                visitor=message.sender,
                external_id=message.key,
                contact=message.sender,
            ),
        )
    finally:
        close_old_connections()


def _shown(channel: Channel, message: Incoming, reply: Reply) -> str:
    lines = [reply.response, *(f"- {text}" for text in reply.suggestions)]
    return _first_part(channel, message, "\n".join(lines), reply.language)


def _first_part(channel: Channel, message: Incoming, text: str, language: str) -> str:
    part, rest = cut_text(text)
    key = _rest_key(channel, message)
    if not rest:
        cache.delete(key)
        return part
    more = MORE.get(language, MORE["en"])
    part, rest = cut_text(text, 2_048 - len(more.encode()) - 1)
    cache.set(key, rest, REST_SECONDS)
    return f"{part}\n{more}"


def _said_key(channel: Channel, message: Incoming) -> str:
    return f"assistants:wechat-said:{channel.pk}:{message.key}"


def _rest_key(channel: Channel, message: Incoming) -> str:
    return f"assistants:wechat-rest:{channel.pk}:{message.sender}"


def _send_later(channel: Channel, message: Incoming, done: "Future[Reply]") -> None:
    try:
        reply = done.result()
        if reply.response and reply.route != "pending":
            send_message(channel, message.sender, _shown(channel, message, reply))
    except (UserError, httpx.HTTPError) as problem:
        logger.warning("WeChat did not take an answer: %s", problem)
    except Exception:  # Nobody waits for this thread: what it raises would be lost.
        logger.exception("An answer to WeChat failed")


def take_waiting_replies(conversation: Conversation) -> str:
    """What people replied and the account may not send of its own: it goes with this answer."""
    rows = Delivery.objects.filter(message__conversation=conversation, sent_at=None)
    with transaction.atomic():
        taken = list(rows.select_for_update(of=("self",)).select_related("message"))
        rows.filter(pk__in=[row.pk for row in taken]).update(
            sent_at=now(), next_at=None, problem=""
        )
    taken.sort(key=lambda row: row.message.seq)
    return "\n\n".join(row.message.text[row.sent_characters :] for row in taken)


def send_message(channel: Channel, recipient: str, text: str) -> None:
    """A customer-service message. Raises httpx.HTTPError, or WechatRefused with WeChat's words."""
    answer = httpx.post(
        f"{settings.WECHAT_API_BASE}/cgi-bin/message/custom/send",
        params={"access_token": access_token(channel)},
        content=json.dumps(
            {"touser": recipient, "msgtype": "text", "text": {"content": text}},
            ensure_ascii=False,
        ).encode(),
        timeout=HTTP_TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    if answer.json().get("errcode"):
        raise WechatRefused(f"WeChat refused a message: {answer.json().get('errmsg', '')}")


def access_token(channel: Channel) -> str:
    """The account's token, fetched once for all processes while it is valid."""
    key = f"assistants:wechat-token:{channel.pk}"
    if token := cache.get(key):
        return str(token)
    token, seconds = fetch_token(Account.of(channel))
    cache.set(key, token, max(60, seconds - TOKEN_MARGIN_SECONDS))
    return token


def fetch_token(account: Account) -> tuple[str, int]:
    """WeChat's token and the seconds it holds. Raises httpx.HTTPError, or WechatRefused with
    WeChat's words."""
    answer = httpx.post(
        f"{settings.WECHAT_API_BASE}/cgi-bin/stable_token",
        json={
            "grant_type": "client_credential",
            "appid": account.app_id,
            "secret": account.app_secret,
        },
        timeout=HTTP_TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    sent = answer.json()
    if "access_token" not in sent:
        raise WechatRefused(f"WeChat gave no token: {sent.get('errmsg', '')}")
    return str(sent["access_token"]), int(sent["expires_in"])
