"""Reading JSON bodies: what is wrong becomes one 400 that names the parameter at fault."""

import json
import sys
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from inference.serving.protocol.errors import ApiError, bad_request

JsonObject = dict[str, object]  # A caller's JSON, or ours for a caller.
Body = TypeVar("Body", bound=BaseModel)


def parse_json_object(body: bytes) -> JsonObject:
    """Raises ApiError (400). By `json`, because orjson calls half of a surrogate pair bad JSON,
    where we can name the parameter that has it."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "invalid_json", "The body is not valid JSON.") from None
    if not isinstance(content, dict):
        raise bad_request("The body must be a JSON object.")
    return content


def validate(
    model: type[Body], content: Mapping[str, object], messages: Mapping[str, str], path: str = ""
) -> Body:
    """The content as a model. Raises ApiError (400) with the message of the first bad field."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise bad_request(messages[name], path + name) from None


def check_text(text: str, param: str, max_characters: int | None = None) -> None:
    """Raises ApiError (400) for a text that is too long or that UTF-8 cannot hold."""
    if max_characters is not None and len(text) > max_characters:
        raise bad_request(f"{param} is longer than {max_characters:,} characters.", param)
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair.
        raise bad_request(f"{param} is not valid Unicode text.", param) from None


def check_number(number: float, param: str) -> None:
    """Raises ApiError (400) for NaN and what no float holds, such as 1e400."""
    if not abs(number) <= sys.float_info.max:
        raise bad_request(f"{param} is no number up to 1.7e308; null is a missing value.", param)
