"""An assistant as a model of OpenAI's chat completions: the last user message is the question."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.api.consult import (
    ChannelOrTokenAuthentication,
    EventStreamRenderer,
    MayConsult,
    admit_caller,
    claims_in,
    describe,
    find_channel,
)
from assistants.api.streams import stream_reply
from assistants.conversations.consulting import Question, consult
from assistants.errors import InvalidConsultation
from web.idempotency.api import APIView


class ChatRequest(serializers.Serializer[Any]):
    """Those of OpenAI's parameters that have a meaning here; others are ignored."""

    model = serializers.CharField(max_length=100)
    messages = serializers.ListField(child=serializers.DictField(), allow_empty=False)
    conversation = serializers.UUIDField(
        required=False, allow_null=True, help_text="Of `assistant` in an earlier completion."
    )
    user = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    metadata = serializers.DictField(
        required=False, help_text="What you know of the visitor, as in `consult`."
    )
    stream = serializers.BooleanField(required=False, default=False)


class ChatView(APIView):
    """Reached through assistants.gateway."""

    authentication_classes = [ChannelOrTokenAuthentication]
    permission_classes = [MayConsult]
    renderer_classes = [JSONRenderer, EventStreamRenderer]

    @extend_schema(exclude=True)
    def post(self, request: Request, name: str) -> HttpResponseBase:
        body = ChatRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        question = Question(
            text=find_question(sent["messages"]),
            conversation_id=sent.get("conversation"),
            visitor=sent["user"],
            **claims_in(request, sent.get("metadata")),
        )
        channel = find_channel(request.auth, name)
        admit_caller(request.auth)
        if sent["stream"]:
            return stream_reply(channel, question, _ChatStream(sent["model"]))
        return Response(as_completion(sent["model"], describe(consult(channel, question))))


def find_question(messages: list[dict[str, object]]) -> str:
    """The text of the last message, which must be a user's. Raises InvalidConsultation."""
    last = messages[-1]
    content = last.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(text for text in texts if isinstance(text, str))
    if last.get("role") != "user" or not isinstance(content, str):
        raise InvalidConsultation("The last message must be a user's text.", param="messages")
    return content


def as_completion(model: str, reply: dict[str, object]) -> dict[str, object]:
    """The reply as a chat completion; our own fields are under `assistant`."""
    message = {"role": "assistant", "content": reply["response"], "refusal": None}
    return {
        "id": f"chatcmpl-{reply['id'] or reply['conversation']}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "assistant": reply,
    }


class _ChatStream:
    """OpenAI's chunks: the role with the first text, more text, and the end with our own fields."""

    def __init__(self, model: str) -> None:
        self._base: dict[str, object] = {
            "id": f"chatcmpl-{uuid.uuid4()}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._role = {"role": "assistant"}

    describe = staticmethod(describe)

    def parts_of(self, described: dict[str, object]) -> list[str]:
        return [str(described["response"])]

    def delta(self, text: str) -> dict[str, object]:
        role, self._role = self._role, {}
        return self._chunk({**role, "content": text})

    def last(self, described: dict[str, object]) -> Iterator[dict[str, object]]:
        yield {**self._chunk({}, "stop"), "assistant": described}

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self._base, "choices": [choice]}
