"""Replies as streams of events: sentence by sentence where one is written, else at once."""

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
    """What a door says of a reply."""

    def describe(self, reply: Reply) -> Description: ...

    def parts_of(self, described: Description) -> list[str]:
        """The text of a reply that is known at once, as it is told."""
        ...

    def delta(self, text: str) -> dict[str, object]: ...

    def last(self, described: Description) -> Iterator[dict[str, object]]: ...


def stream_reply(channel: Channel, question: Question, shape: Shape) -> HttpResponseBase:
    """Raises what `consult` raises, while nothing has been said."""
    told = tell(channel, question, shape.describe)
    if isinstance(told, Sentence):
        response: HttpResponseBase = DetachedResponse(
            _events(told, shape), content_type="text/event-stream"
        )
    else:
        events = [shape.delta(part) for part in shape.parts_of(told)]
        parts = [*map(event, (*events, *shape.last(told))), DONE]
        response = HttpResponse(b"".join(parts), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _events(first: Sentence, shape: Shape) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(follow(first)) as following:
            async for told in following:
                if isinstance(told, Sentence):
                    yield event(shape.delta(told.text))
                else:
                    for part in shape.last(told):
                        yield event(part)
    except Exception:  # The answer has begun: the error can only be part of it.
        logger.exception("A consultation broke off")
        yield event(BROKEN_OFF)
    yield DONE


def event(data: dict[str, object]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
