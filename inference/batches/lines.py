"""The lines of a batch's file: one request each, checked before the first is sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from typing_extensions import TypedDict

from inference.files.training_lines import iterate_objects
from projects.errors import BadUpload

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/classify")
MAX_LINES = 50_000
MAX_PROBLEMS = 50
STOPPED_AT = "The batch stopped at line {line}; lines after it were refused. "
JsonObject = dict[str, object]


class LineProblem(TypedDict):
    """What is wrong with a line, as OpenAI lists it."""

    code: str
    line: int | None
    message: str
    param: str | None


@dataclass(frozen=True)
class RequestLine:
    line: int
    custom_id: str
    body: JsonObject


def read_requests(source: BinaryIO) -> Iterator[RequestLine]:
    """The requests of a file that was checked."""
    for number, item in iterate_objects(source):
        body = item["body"]
        assert isinstance(body, dict)
        yield RequestLine(number, str(item["custom_id"]), body)


def check_requests(source: BinaryIO, endpoint: str) -> tuple[int, list[LineProblem]]:
    """How many requests there are, and what is wrong with them."""
    problems: list[LineProblem] = []
    seen: set[str] = set()
    count = 0
    try:
        for number, item in iterate_objects(source):
            count += 1
            problem = _problem_of(item, endpoint, seen)
            if problem is not None and len(problems) < MAX_PROBLEMS:
                code, param, message = problem
                problems.append(LineProblem(code=code, line=number, message=message, param=param))
            if count > MAX_LINES:
                message = f"A batch holds at most {MAX_LINES:,} requests."
                problems.append(
                    LineProblem(code="too_many_tasks", line=None, message=message, param=None)
                )
                break
    except BadUpload as refusal:
        problems.append(
            LineProblem(code="invalid_json_line", line=None, message=refusal.sentence, param=None)
        )
    if not count and not problems:
        message = "The file holds no requests."
        problems.append(LineProblem(code="empty_file", line=None, message=message, param=None))
    return count, problems


def _problem_of(item: JsonObject, endpoint: str, seen: set[str]) -> tuple[str, str, str] | None:
    """The code, parameter and sentence of the first thing wrong with a line."""
    custom_id, body = item.get("custom_id"), item.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        return "missing_required_parameter", "custom_id", "custom_id must be a text."
    if custom_id in seen:
        return "duplicate_custom_id", "custom_id", f"custom_id {custom_id[:80]!r} stands twice."
    seen.add(custom_id)
    if item.get("method", "POST") != "POST":
        return "invalid_method", "method", "method must be POST."
    if item.get("url", endpoint) != endpoint:
        return "mismatched_endpoint", "url", f"url must be {endpoint}, as the batch's endpoint is."
    if not isinstance(body, dict):
        return "missing_required_parameter", "body", "body must be an object."
    if not isinstance(body.get("model"), str):
        return "missing_required_parameter", "body.model", "body.model must be a text."
    if body.get("stream"):
        return "invalid_parameter", "body.stream", "stream cannot be used in a batch."
    return None
