"""The answers of /v1/chat/completions and /v1/completions, whole and as chunks of a stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.tasks.generation.sampling import TokenLogprob
from engine.tasks.generation.writing.tool_calls import ToolCall, ToolCallReader
from inference.serving.protocol.body import JsonObject
from inference.serving.protocol.chat import GenerationRequest
from inference.serving.protocol.tools import call_objects


@dataclass(frozen=True)
class ResponseMetadata:
    """What every object of one answer repeats."""

    id: str
    created: int


@dataclass
class Choice:
    """One answer as it grows."""

    index: int
    echoed: str = ""
    text_parts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    tokens: int = 0
    finish_reason: str = "length"
    has_begun: bool = False
    reader: ToolCallReader | None = None  # Where functions are on offer.

    @property
    def calls(self) -> list[ToolCall]:
        """The functions that the answer asks for, so far."""
        return self.reader.calls if self.reader else []

    @property
    def text(self) -> str:
        return self.echoed + "".join(self.text_parts)


def completion_response(
    request: GenerationRequest,
    metadata: ResponseMetadata,
    choices: Sequence[Choice],
    tokens: tuple[int, int],
) -> JsonObject:
    """Whole answers. `tokens` are the prompts' and the answers'."""
    return {
        **_response_head(
            request, metadata, "chat.completion" if request.is_chat else "text_completion"
        ),
        "choices": [_choice_object(request, metadata, choice) for choice in choices],
        "usage": usage_object(tokens),
    }


def _call_prefix(metadata: ResponseMetadata, choice: Choice) -> str:
    return f"{metadata.id.rpartition('-')[2]}_{choice.index}_"


def _choice_object(
    request: GenerationRequest, metadata: ResponseMetadata, choice: Choice
) -> JsonObject:
    content: JsonObject = {"text": choice.text}
    if request.is_chat:
        message: JsonObject = {"role": "assistant", "content": choice.text, "refusal": None}
        if choice.calls:
            message["content"] = choice.text or None
            message["tool_calls"] = call_objects(
                choice.calls, _call_prefix(metadata, choice), is_stream=False
            )
        content = {"message": message}
    return {
        "index": choice.index,
        **content,
        "logprobs": _logprobs_object(request, choice.logprobs, len(choice.echoed)),
        "finish_reason": choice.finish_reason,
    }


def completion_chunk(
    request: GenerationRequest,
    metadata: ResponseMetadata,
    choice: Choice,
    text: str,
    reason: str | None,
    logprobs: Sequence[TokenLogprob] = (),
) -> JsonObject:
    """One object of a stream: what is new of a choice."""
    is_first, choice.has_begun = not choice.has_begun, True
    content: JsonObject = {"text": choice.echoed + text if is_first else text}
    if request.is_chat:
        delta: JsonObject = {"role": "assistant"} if is_first else {}
        if text or is_first:
            delta["content"] = text
        if reason is not None and choice.calls:
            delta["tool_calls"] = call_objects(
                choice.calls, _call_prefix(metadata, choice), is_stream=True
            )
        content = {"delta": delta}
    offset = len(choice.text) - len(text)
    choice_object = {
        "index": choice.index,
        **content,
        "logprobs": _logprobs_object(request, logprobs, offset) if logprobs else None,
        "finish_reason": reason,
    }
    head = _response_head(request, metadata, _chunk_object_type(request))
    return {**head, "choices": [choice_object]} | ({"usage": None} if request.include_usage else {})


def usage_chunk(
    request: GenerationRequest, metadata: ResponseMetadata, tokens: tuple[int, int]
) -> JsonObject:
    head = _response_head(request, metadata, _chunk_object_type(request))
    return {**head, "choices": [], "usage": usage_object(tokens)}


def usage_object(tokens: tuple[int, int]) -> dict[str, int]:
    prompt_tokens, completion_tokens = tokens
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def _logprobs_object(
    request: GenerationRequest, logprobs: Sequence[TokenLogprob], offset: int
) -> JsonObject | None:
    """None where they were not asked for. `offset`: characters before the first token."""
    if request.sampling.top_logprobs is None:
        return None
    if request.is_chat:
        content = [
            {**_logprob_object(one), "top_logprobs": [_logprob_object(top) for top in one.top]}
            for one in logprobs
        ]
        return {"content": content, "refusal": None}
    offsets = []
    for one in logprobs:
        offsets.append(offset)
        offset += len(one.text)
    return {
        "tokens": [one.text for one in logprobs],
        "token_logprobs": [one.logprob for one in logprobs],
        "top_logprobs": [{top.text: top.logprob for top in one.top} for one in logprobs],
        "text_offset": offsets,
    }


def _logprob_object(one: TokenLogprob) -> JsonObject:
    return {"token": one.text, "logprob": one.logprob, "bytes": list(one.content)}


def _chunk_object_type(request: GenerationRequest) -> str:
    return "chat.completion.chunk" if request.is_chat else "text_completion"


def _response_head(
    request: GenerationRequest, metadata: ResponseMetadata, object_type: str
) -> JsonObject:
    return {
        "id": metadata.id,
        "object": object_type,
        "created": metadata.created,
        "model": request.model,
    }
