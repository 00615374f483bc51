"""Tools in OpenAI's shape: the functions on offer, the choice among them, and chats with calls."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.spec.problems import problem_sentence
from engine.tasks.generation.messages import Message
from engine.tasks.generation.writing.tool_calls import ToolCall, ToolRequest
from inference.serving.protocol.body import JsonObject
from inference.serving.protocol.errors import bad_request

MAX_TOOLS, MAX_CALLS = 128, 128
FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class FunctionSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    function: FunctionSpec


class CalledFunction(BaseModel):
    name: FunctionName
    arguments: str


class SentCall(BaseModel):
    """A call of the model's as the client sends it back."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    type: Literal["function"] = "function"
    function: CalledFunction


def parse_tools(content: Mapping[str, Any]) -> ToolRequest:
    """The functions of a request. Raises ApiError (400) naming the parameter at fault."""
    value = content.get("tools")
    if not value:
        if content.get("tool_choice") not in (None, "none", "auto"):
            raise bad_request("tool_choice needs tools.", "tool_choice")
        return ToolRequest()
    if not isinstance(value, list) or len(value) > MAX_TOOLS:
        raise bad_request(f"tools must be a list of up to {MAX_TOOLS} functions.", "tools")
    tools = [_parse_tool(number, one) for number, one in enumerate(value)]
    names = [tool.function.name for tool in tools]
    if len(set(names)) < len(names):
        raise bad_request("tools must have different names.", "tools")
    is_parallel = content.get("parallel_tool_calls")
    if is_parallel not in (None, True, False):
        raise bad_request("parallel_tool_calls must be true or false.", "parallel_tool_calls")
    choice = content.get("tool_choice") or "auto"
    if choice == "none":
        return ToolRequest()
    forced = _forced_names(choice, names)
    strict = next((n for n, tool in enumerate(tools) if tool.function.strict), None)
    if strict is not None and not forced:
        raise bad_request(
            "strict holds only where a call is certain: send tool_choice 'required' or a function,"
            " or leave strict out.",
            f"tools[{strict}].function.strict",
        )
    return ToolRequest(
        tools=[tool.model_dump(exclude_none=True) for tool in tools],
        forced=forced,
        is_parallel=is_parallel is not False,
    )


def _parse_tool(number: int, value: object) -> Tool:
    try:
        return Tool.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        param = f"tools[{number}]" + (f".{place}" if place else "")
        raise bad_request(f"{param}: {problem_sentence(problem)}", param) from None


def _forced_names(choice: object, names: Sequence[str]) -> list[str]:
    if choice == "auto":
        return []
    if choice == "required":
        return list(names)
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if name not in names:
        raise bad_request(
            "tool_choice must be none, auto, required, or name a function of tools:"
            ' {"type": "function", "function": {"name": …}}.',
            "tool_choice",
        )
    return [str(name)]


def replace_tool_messages(messages: Sequence[Any]) -> tuple[list[Any], dict[int, Message]]:
    """The messages with plain ones in place of calls and results, and what those stand for.

    Raises ApiError (400) naming the message at fault.
    """
    plain, special = list(messages), {}
    known: set[str] = set()
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "assistant" and message.get("tool_calls"):
            calls = _parse_calls(place, message["tool_calls"])
            known |= {call["id"] for call in calls}
            text = message.get("content")
            special[place] = Message(
                role="assistant", content=text if isinstance(text, str) else "", tool_calls=calls
            )
            plain[place] = {"role": "assistant", "content": "call"}
        elif message.get("role") == "tool":
            special[place] = _parse_result(place, message, known)
            plain[place] = {"role": "user", "content": "result"}
    return plain, special


def _parse_calls(place: int, value: object) -> list[dict[str, Any]]:
    param = f"messages[{place}].tool_calls"
    if not isinstance(value, list) or len(value) > MAX_CALLS:
        raise bad_request(f"{param} must be a list of up to {MAX_CALLS} calls.", param)
    calls = []
    for one in value:
        try:
            call = SentCall.model_validate(one)
            arguments = json.loads(call.function.arguments or "{}")
        except (ValidationError, ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise bad_request(
                f"{param} must hold an id, and a function with a name and its arguments as JSON"
                " text of an object.",
                param,
            )
        # Templates write the arguments themselves, so they get the object.
        function = {"name": call.function.name, "arguments": arguments}
        calls.append({"id": call.id, "type": "function", "function": function})
    return calls


def _parse_result(place: int, message: Mapping[str, Any], known: set[str]) -> Message:
    param, text = f"messages[{place}]", message.get("content")
    if isinstance(text, list):
        parts = [part.get("text") for part in text if isinstance(part, dict)]
        texts = [part for part in parts if isinstance(part, str)]
        text = "\n".join(texts) if len(texts) == len(text) else None
    if not isinstance(text, str):
        raise bad_request(f"{param}.content must be a text.", f"{param}.content")
    call_id = message.get("tool_call_id")
    if call_id not in known:
        raise bad_request(
            f"{param}.tool_call_id must be the id of a call in an earlier message.",
            f"{param}.tool_call_id",
        )
    return Message(role="tool", content=text, tool_call_id=str(call_id))


def call_objects(calls: Sequence[ToolCall], prefix: str, *, is_stream: bool) -> list[JsonObject]:
    """Calls as OpenAI tells them; `prefix` makes their ids unique."""
    return [
        ({"index": number} if is_stream else {})
        | {
            "id": f"call_{prefix}{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(calls)
    ]
