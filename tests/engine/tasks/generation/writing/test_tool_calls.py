"""Calls of functions in what a model writes, however it is cut into chunks."""

import itertools
import json

import pytest

from engine.tasks.generation.writing import tool_calls
from engine.tasks.generation.writing.tool_calls import ToolCallReader, ToolRequest

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("weather", "clock")
]
CALL = '{"name": "weather", "arguments": {"place": "Bern"}}'
OTHER = '{"name": "clock", "arguments": {}}'


def read(text, size, has_marks=True, **facts):
    reader = ToolCallReader(ToolRequest(TOOLS, **facts), has_marks)
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    said = "".join(map(reader.feed, parts)) + reader.finish()
    return said, [(call.name, json.loads(call.arguments)) for call in reader.calls]


CASES = {
    "Just a text < with marks <tool": ("Just a text < with marks <tool", []),
    f"<tool_call>\n{CALL}\n</tool_call>": ("", [("weather", {"place": "Bern"})]),
    f"Let me see. <tool_call>{CALL}</tool_call>": (
        "Let me see. ", [("weather", {"place": "Bern"})],
    ),
    f"<tool_call>{CALL}</tool_call>\n<tool_call>{OTHER}</tool_call>": (
        "", [("weather", {"place": "Bern"}), ("clock", {})],
    ),
    f"<tool_call>{CALL}": ("", [("weather", {"place": "Bern"})]),  # Its end was cut off.
    '<tool_call>{"name": "unknown"}</tool_call>': (
        '<tool_call>{"name": "unknown"}</tool_call>', [],
    ),
    "<tool_call>{oh</tool_call> dear": ("<tool_call>{oh</tool_call> dear", []),
    '<tool_call>{"name": "clock", "arguments": "{}"}</tool_call>': ("", [("clock", {})]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "size"), list(itertools.product(CASES, (1, 2, 7, 1000))))
def test_calls_are_told_from_text(text, size):
    assert read(text, size) == CASES[text]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_an_answer_that_is_one_object_is_a_call_where_the_template_has_no_marks(size):
    call = '{"name": "clock", "parameters": {"zone": 1}}'
    assert read(call, size, has_marks=False) == ("", [("clock", {"zone": 1})])
    for text in ('{"answer": 1}', "Hello {", "  {broken", CALL + " and more"):
        assert read(text, size, has_marks=False) == (text, [])


def test_one_call_where_several_are_not_wanted():
    both = f"<tool_call>{CALL}</tool_call><tool_call>{OTHER}</tool_call>"
    assert len(read(both, 3, is_parallel=False)[1]) == 1


def test_a_forced_call_has_a_schema_of_its_own():
    (one,) = (tool_calls.call_schema(ToolRequest(TOOLS, forced=["clock"]), "arguments"),)
    assert one["properties"]["name"] == {"const": "clock"}
    several = tool_calls.call_schema(ToolRequest(TOOLS, forced=["clock", "weather"]), "parameters")
    assert len(several["anyOf"]) == 2
    assert read(CALL, 4, forced=["weather"]) == ("", [("weather", {"place": "Bern"})])
