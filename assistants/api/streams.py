"""Sends replies as streams of events: a reply that is being written sentence by sentence, others at
once."""

import json
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Protocol

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from assistants.conversations.consulting import Question, Reply
from assistants.conversations.sentence_stream import Description, Sentence, follow, tell
from assistants.models import Channel
from web.streams.detached import DetachedResponse

logger = logging.getLogger(__name__)

BROKEN_OFF: dict[str, object] = {
    "error": {
        "message": "Something went wrong here after the answer had begun. Please ask again.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
}


class Shape(Protocol):
    """The form of an endpoint's events."""

    def describe(self, reply: Reply) -> Description:
        """The whole reply as JSON."""
        ...

    def parts_of(self, described: Description) -> list[str]:
        """The pieces in which the text of a reply is sent that is known at once."""
        ...

    def delta(self, text: str) -> dict[str, object]:
        """The event for a piece of text."""
        ...

    def last(self, described: Description) -> Iterator[dict[str, object]]:
        """The events at the end."""
        ...


def stream_reply(channel: Channel, question: Question, shape: Shape) -> HttpResponseBase:
    """The reply to a question as a stream. Raises what `consult` raises, before the first event."""
    first = tell(channel, question, shape.describe)
    if isinstance(first, Sentence):
        response: HttpResponseBase = DetachedResponse(
            _events(first, shape), content_type="text/event-stream"
        )
    else:
        events = [shape.delta(part) for part in shape.parts_of(first)]
        parts = [*map(event, (*events, *shape.last(first))), DONE]
        response = HttpResponse(b"".join(parts), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _events(first: Sentence, shape: Shape) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(follow(first)) as following:
            async for part in following:
                if isinstance(part, Sentence):
                    yield event(shape.delta(part.text))
                else:
                    for final in shape.last(part):
                        yield event(final)
    except Exception:  # The answer has begun: the error can only be part of it.
        logger.exception("A consultation broke off")
        yield event(BROKEN_OFF)
    yield DONE


def event(data: dict[str, object]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
