"""Answers of /v1/responses: the shape of the whole, and the events of a stream."""

from collections.abc import Iterator
from typing import cast

import orjson

from engine.tasks.generation.sampling import TokenChunk
from inference.serving.protocol import responses
from inference.serving.protocol.body import JsonObject
from inference.serving.protocol.chat_answers import Choice
from inference.serving.protocol.responses import ResponsesRequest
from inference.serving.routes.generation import Generation


class ResponsesGeneration(Generation):
    """One answer, told as a response."""

    _sequence = 0

    def whole_answer(self) -> JsonObject:
        status = self._status
        item = responses.message_item(self._item_id, status, self._choices[0].text)
        return self._response(status, [item], self._tokens)

    def chunk_events(self, choice: Choice, chunk: TokenChunk) -> Iterator[bytes]:
        if not choice.has_begun:
            choice.has_begun = True
            yield self._event("response.created", response=self._response("in_progress"))
            yield self._event("response.in_progress", response=self._response("in_progress"))
            item = responses.message_item(self._item_id, "in_progress", None)
            yield self._event("response.output_item.added", output_index=0, item=item)
            part = responses.text_part("")
            yield self._event("response.content_part.added", **self._place, part=part)
        if chunk.text:
            yield self._event(
                "response.output_text.delta", **self._place, delta=chunk.text, logprobs=[]
            )

    def last_events(self) -> Iterator[bytes]:
        text, status = self._choices[0].text, self._status
        yield self._event("response.output_text.done", **self._place, text=text, logprobs=[])
        part = responses.text_part(text)
        yield self._event("response.content_part.done", **self._place, part=part)
        item = responses.message_item(self._item_id, status, text)
        yield self._event("response.output_item.done", output_index=0, item=item)
        whole = self._response(status, [item], self._tokens)
        yield self._event(f"response.{status}", response=whole)

    @property
    def _status(self) -> str:
        return "incomplete" if self._choices[0].finish_reason == "length" else "completed"

    @property
    def _item_id(self) -> str:
        return self._metadata.id.replace("resp", "msg", 1)

    @property
    def _place(self) -> JsonObject:
        """Where in the response the text stands."""
        return {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def _response(
        self,
        status: str,
        output: list[JsonObject] | None = None,
        tokens: tuple[int, int] | None = None,
    ) -> JsonObject:
        request = cast(ResponsesRequest, self._payload)
        return responses.response_object(
            request,
            self._metadata.id,
            self._metadata.created,
            status=status,
            output=output or [],
            tokens=tokens,
        )

    def _event(self, kind: str, **content: object) -> bytes:
        """One event; they are numbered, and each begins with its kind."""
        fields = {"type": kind, "sequence_number": self._sequence, **content}
        self._sequence += 1
        return f"event: {kind}\ndata: ".encode() + orjson.dumps(fields) + b"\n\n"
