"""Checks the lines of a training file when it arrives, so that a mistake is named by its line.

The formats are OpenAI's: chats, prompts with completions, and preferences (for DPO). Rows of any
other form can still train a classifier. Formats: platform.openai.com/docs/guides/fine-tuning.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from engine.tasks.generation.chats import MIN_CHATS
from engine.tasks.generation.messages import (
    Chat,
    InvalidChat,
    parse_chat,
    trim_after_last_answer,
)
from projects.errors import BadUpload

MAX_LINE_BYTES = 16 * 1024**2
Line = dict[str, object]


class InvalidLine(ValueError):
    """What is wrong with one line, as words that go on from "Line 3: "."""


@dataclass
class LineReport:
    """How many examples there are, and for each format the first line that does not have it."""

    examples: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, line: Line) -> None:
        self.examples += 1
        for name, check in FORMATS.items():
            if name not in self.problems:
                try:
                    check(line)
                except InvalidLine as problem:
                    self.problems[name] = f"Line {number}: {problem}"

    def finish(self) -> None:
        if self.examples < MIN_CHATS:
            few = f"The file has {self.examples} examples, but must have at least {MIN_CHATS}."
            for name in FORMATS:
                self.problems.setdefault(name, few)


def check_training_lines(source: BinaryIO) -> LineReport:
    """Read a JSONL file, blank lines left out.

    Raises BadUpload naming the first line that is no JSON object in UTF-8.
    """
    report = LineReport()
    for number, line in iterate_objects(source):
        report.add(number, line)
    if not report.examples:
        raise BadUpload("Invalid file format. The file holds no examples.", param="file")
    report.finish()
    return report


def iterate_objects(source: BinaryIO) -> Iterable[tuple[int, Line]]:
    """Each line's number, from 1 on, and its object. Raises BadUpload."""
    number = 0
    while raw := source.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise _invalid_line(number, f"is longer than {MAX_LINE_BYTES // 1024**2} MiB")
        if not raw.strip():
            continue
        try:
            value = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            raise _invalid_line(number, "is not UTF-8 text") from None
        except (ValueError, RecursionError):
            raise _invalid_line(number, "is not valid JSON") from None
        if not isinstance(value, dict):
            raise _invalid_line(number, "is not a JSON object")
        yield number, value


def _invalid_line(number: int, problem: str) -> BadUpload:
    return BadUpload(f"Invalid file format. Line {number} {problem}.", param="file")


def _check_chat_line(line: Line) -> None:
    if "messages" not in line:
        raise InvalidLine("the key 'messages' is missing.")
    if line.get("tools") or line.get("functions"):
        raise InvalidLine("tools cannot be learnt here; leave 'tools' and 'functions' out.")
    messages = line["messages"]
    _check_chat(messages)
    assert isinstance(messages, list)
    answers = [one for one in messages if one.get("role") in ("assistant", "gpt")]
    for one in answers:
        weight = one.get("weight", 1)
        if isinstance(weight, bool) or weight not in (0, 1):
            raise InvalidLine(f"the weight of an assistant message must be 0 or 1, not {weight!r}.")
    if not any(one.get("weight", 1) for one in answers):
        raise InvalidLine("every assistant message has weight 0: nothing is left to learn.")


def _check_completion_line(line: Line) -> None:
    for key in ("prompt", "completion"):
        value = line.get(key)
        if not isinstance(value, str) or not value.strip():
            raise InvalidLine(f"'{key}' must be a text that is not blank.")


def _check_preference_line(line: Line) -> None:
    example_input = line.get("input")
    prompt = example_input.get("messages") if isinstance(example_input, dict) else None
    if not isinstance(prompt, list) or not prompt:
        raise InvalidLine("'input' must be an object with a list of 'messages'.")
    if isinstance(example_input, dict) and example_input.get("tools"):
        raise InvalidLine("tools cannot be learnt here; leave 'tools' out.")
    for key in ("preferred_output", "non_preferred_output"):
        output = line.get(key)
        if not isinstance(output, list) or len(output) != 1:
            raise InvalidLine(f"'{key}' must be a list of one assistant message.")
        _check_chat([*prompt, *output])
        if output[0].get("role") != "assistant":
            raise InvalidLine(f"'{key}' must be a list of one assistant message.")


def _check_chat(messages: object) -> Chat:
    try:
        return trim_after_last_answer(parse_chat(messages))
    except InvalidChat as problem:
        raise InvalidLine(f"the chat {problem}.") from None


FORMATS: dict[str, Callable[[Line], None]] = {
    "chat": _check_chat_line,
    "completion": _check_completion_line,
    "preference": _check_preference_line,
}
