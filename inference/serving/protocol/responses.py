"""The stateless part of OpenAI's /v1/responses: a request becomes a chat, its answer a response."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from engine.tasks.generation.sampling import Sampling
from inference.serving.protocol.body import JsonObject, parse_json_object, validate
from inference.serving.protocol.chat import (
    STREAM_MESSAGE,
    GenerationRequest,
    JsonSchemaFormat,
    ResponseFormat,
    left_out_of,
    parse_messages,
)
from inference.serving.protocol.errors import bad_request

# What needs memory of earlier requests, other services, or work in the background.
UNSUPPORTED_PARAMETERS = (
    "previous_response_id",
    "conversation",
    "background",
    "tools",
    "include",
    "prompt",
    "store",
    "max_tool_calls",
)
TEXT_PARTS = ("input_text", "output_text", "text")


class ResponsesBody(BaseModel):
    model_config = ConfigDict(strict=True)

    model: Annotated[str, Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    metadata: dict[str, str] | None = None
    stream: bool | None = None


MESSAGES = {
    "model": "model must be the name of a deployment.",
    "instructions": "instructions must be a text.",
    "max_output_tokens": "max_output_tokens must be a whole number from 1 on.",
    "temperature": "temperature must be a number from 0 to 2.",
    "top_p": "top_p must be a number from 0 to 1.",
    "metadata": "metadata must map texts to texts.",
    "stream": STREAM_MESSAGE,
    "text": "text.format must be of the type text, json_object or json_schema, the latter with name"
    " and schema.",
}


@dataclass(frozen=True)
class ResponsesRequest(GenerationRequest):
    """A chat, and what its response repeats."""

    echoed: JsonObject = field(default_factory=dict)

    @property
    def prompt_param(self) -> str:
        return "input"


def parse_responses_request(body: bytes) -> ResponsesRequest:
    """Raises ApiError (400) naming the parameter at fault."""
    content = parse_json_object(body)
    for name in UNSUPPORTED_PARAMETERS:
        if content.get(name):
            raise bad_request(f"{name} is not supported here. Leave it out.", name)
    if content.get("truncation") not in (None, "disabled"):
        raise bad_request("truncation must be disabled: a prompt is never cut.", "truncation")
    known = {name: content.get(name) for name in ResponsesBody.model_fields}
    fields = validate(ResponsesBody, known, MESSAGES)
    text_format = _text_format(content.get("text"))
    return ResponsesRequest(
        model=fields.model,
        prompts=[parse_messages(_as_messages(content.get("input"), fields.instructions), "input")],
        sampling=Sampling(
            temperature=1.0 if fields.temperature is None else fields.temperature,
            top_p=1.0 if fields.top_p is None else fields.top_p,
            max_tokens=fields.max_output_tokens,
            json_schema=text_format.allowed,
        ),
        is_chat=True,
        is_stream=bool(fields.stream),
        include_usage=False,
        left_out=left_out_of(fields),
        echoed={
            "instructions": fields.instructions,
            "max_output_tokens": fields.max_output_tokens,
            "metadata": fields.metadata or {},
            "text": {"format": {"type": text_format.type}},
        },
    )


def _as_messages(value: object, instructions: str | None) -> list[object]:
    """The input as messages of a chat; parts that are text under the names that chats have."""
    messages: list[object] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    if isinstance(value, str):
        return [*messages, {"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise bad_request("input must be a text or a list of messages.", "input")
    for item in value:
        if isinstance(item, dict) and item.get("type", "message") != "message":
            kind = str(item.get("type"))[:40]
            raise bad_request(f"input items of the type {kind!r} are not supported.", "input")
        messages.append(_with_text_parts(item))
    return messages


def _with_text_parts(item: object) -> object:
    if not isinstance(item, dict) or not isinstance(item.get("content"), list):
        return item
    parts = [
        part | {"type": "text"}
        if isinstance(part, dict) and part.get("type") in TEXT_PARTS
        else part
        for part in item["content"]
    ]
    return item | {"content": parts}


def _text_format(value: object) -> ResponseFormat:
    chosen: Any = value.get("format") if isinstance(value, dict) else None
    if not chosen:
        return ResponseFormat(type="text")
    kind = chosen.get("type") if isinstance(chosen, dict) else None
    try:
        schema = JsonSchemaFormat.model_validate(chosen) if kind == "json_schema" else None
        return ResponseFormat.model_validate({"type": kind, "json_schema": schema})
    except ValueError:
        raise bad_request(MESSAGES["text"], "text") from None


def response_object(
    request: ResponsesRequest,
    response_id: str,
    created: int,
    *,
    status: str,
    output: Sequence[JsonObject] = (),
    tokens: tuple[int, int] | None = None,
) -> JsonObject:
    """`tokens` are the prompt's and the answer's, once they are known."""
    is_cut = status == "incomplete"
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "model": request.model,
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "tool_choice": "auto",
        "tools": [],
        "truncation": "disabled",
        "usage": _usage(tokens) if tokens else None,
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        **request.echoed,
    }


def _usage(tokens: tuple[int, int]) -> JsonObject:
    return {
        "input_tokens": tokens[0],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(tokens),
    }


def message_item(item_id: str, status: str, text: str | None) -> JsonObject:
    """The one output item; without content while there is none."""
    content = [] if text is None else [text_part(text)]
    return {
        "type": "message",
        "id": item_id,
        "status": status,
        "role": "assistant",
        "content": content,
    }


def text_part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
