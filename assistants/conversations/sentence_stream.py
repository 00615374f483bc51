"""Consultations that are told sentence by sentence, while the rest is still being written.

Each runs in a thread of its own, whether or not its listener stays: what was asked is answered,
kept and billed. A listener awaits one future after the other and so holds no thread.
"""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from django.db import close_old_connections

from assistants.consultations.lookups import find_live_version
from assistants.conversations.consulting import Question, Reply, consult
from assistants.models import Channel
from assistants.writing.writers import writer_of
from web.database.pool import lend_connection

Description = dict[str, object]  # Of a reply, as a door sends it.
_threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="consult")


@dataclass(frozen=True)
class Sentence:
    """What may be said, with the blank before it, and what follows."""

    text: str
    rest: "Future[Sentence | Description]"


def tell(
    channel: Channel, question: Question, describe: Callable[[Reply], Description]
) -> Sentence | Description:
    """The first sentence as soon as it is written, or the whole reply where it is known at once.

    Raises what `consult` raises, unless a sentence came before it: then what follows does."""
    if writer_of(find_live_version(channel.assistant)) is None:
        return describe(consult(channel, question))
    first = _future()
    context = contextvars.copy_context()
    _threads.submit(context.run, _consult_in_thread, channel, question, describe, first)
    lend_connection()
    return first.result()


async def follow(sentence: Sentence) -> AsyncGenerator[Sentence | Description]:
    """The sentence, those that follow, and last the reply."""
    part: Sentence | Description = sentence
    yield part
    while isinstance(part, Sentence):
        part = await asyncio.wrap_future(part.rest)
        yield part


def _consult_in_thread(
    channel: Channel,
    question: Question,
    describe: Callable[[Reply], Description],
    first: "Future[Sentence | Description]",
) -> None:
    last, blank = first, ""

    def say(text: str) -> None:
        nonlocal last, blank
        rest = _future()
        last.set_result(Sentence(blank + text, rest))
        last, blank = rest, " "

    try:
        reply = describe(consult(channel, question, say))
        last.set_result(reply)
    except BaseException as error:  # noqa: BLE001  Raised again where it is awaited.
        last.set_exception(error)
    finally:
        close_old_connections()


def _future() -> "Future[Sentence | Description]":
    """One that no listener can cancel by leaving."""
    future: Future[Sentence | Description] = Future()
    future.set_running_or_notify_cancel()
    return future
