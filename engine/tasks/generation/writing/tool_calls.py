"""Functions that a chat model may ask for: whether its template knows them, and its calls as text.

Two notations are read: a JSON object of name and arguments between <tool_call> marks (Hermes, Qwen,
SmolLM), and an answer that is one JSON object of name and parameters (Llama). Needs no torch.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
READS_TOOLS = re.compile(r"\btools\b")
READS_RESULTS = re.compile(r"['\"]tool['\"]|['\"]ipython['\"]")


@dataclass(frozen=True)
class ToolCall:
    """A function and its arguments, an object as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ToolRequest:
    """The functions on offer, as OpenAI's `tools`. `forced`: the answer is a call of one of these
    names; empty: the model chooses whether it calls."""

    tools: Sequence[Mapping[str, Any]] = ()
    forced: Sequence[str] = ()
    is_parallel: bool = True

    @property
    def names(self) -> frozenset[str]:
        return frozenset(tool["function"]["name"] for tool in self.tools)


def uses_marks(template: str) -> bool:
    """Whether calls stand between <tool_call> marks; else the whole answer is the call."""
    return OPEN in template


def call_schema(request: ToolRequest, key: str) -> dict[str, Any]:
    """The JSON Schema of a call of one of the forced functions."""
    calls = []
    for tool in request.tools:
        function = tool["function"]
        if function["name"] in request.forced:
            properties = {
                "name": {"const": function["name"]},
                key: function.get("parameters") or {"type": "object"},
            }
            calls.append(
                {
                    "type": "object",
                    "properties": properties,
                    "required": list(properties),
                    "additionalProperties": False,
                }
            )
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


@dataclass
class ToolCallReader:
    """Divides an answer, as it is written, into text for people and calls of functions.

    What may become a call is held back until that is decided; what turns out to be none, such as
    JSON that names no function on offer, is text.
    """

    request: ToolRequest
    has_marks: bool
    calls: list[ToolCall] = field(default_factory=list)
    _held: str = ""
    _has_text: bool = False

    def feed(self, text: str) -> str:
        """The text that is certainly no part of a call, so far."""
        self._held += text
        if self.request.forced:
            return ""
        said = self._divide() if self.has_marks else self._divide_whole()
        self._has_text = self._has_text or bool(said.strip())
        return said

    def finish(self) -> str:
        """The text that was held back and is no call."""
        held, self._held = self._held, ""
        body = held.strip().removeprefix(OPEN).removesuffix(CLOSE)
        if body.strip() and self._take(body):
            return ""
        return held if held.strip() or not self.calls else ""

    def _divide(self) -> str:
        text = ""
        while OPEN in self._held:
            before, _, rest = self._held.partition(OPEN)
            if self.calls and not before.strip():  # White space between two calls.
                before = ""
            body, closed, after = rest.partition(CLOSE)
            if not closed:
                self._held = OPEN + rest
                return text + before
            text += before if self._take(body) else f"{before}{OPEN}{body}{CLOSE}"
            self._held = after
        mark_length = next(
            (n for n in range(len(OPEN) - 1, 0, -1) if self._held.endswith(OPEN[:n])), 0
        )
        if self.calls and OPEN.startswith(self._held.lstrip()):  # Perhaps before another call.
            return text
        cut = len(self._held) - mark_length
        text, self._held = text + self._held[:cut], self._held[cut:]
        return text

    def _divide_whole(self) -> str:
        """An answer that begins as JSON is held until its end."""
        if not self._has_text and self._held.lstrip()[:1] in ("", "{"):
            return ""
        text, self._held = self._held, ""
        return text

    def _take(self, body: str) -> bool:
        """Whether this is a call of a function on offer; it is kept then."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(value, dict) or value.get("name") not in self.request.names:
            return False
        arguments = value.get("arguments", value.get("parameters", {}))
        if isinstance(arguments, str):  # Some models write the object as a text.
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                return False
        if not isinstance(arguments, dict):
            return False
        if self.request.is_parallel or not self.calls:
            text = json.dumps(arguments, ensure_ascii=False)
            self.calls.append(ToolCall(str(value["name"]), text))
        return True
