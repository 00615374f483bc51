"""What no column, log line or answer of ours can hold, refused where it comes in.

PostgreSQL stores no NUL character, UTF-8 has no half of a surrogate pair, and JSON can spell
numbers that neither an integer column nor a float has room for. Each of them would fail somewhere
behind the door, each time elsewhere; so every door calls this module: JSON bodies and forms of the
API (`parsers`), addresses, cookies and forms of pages (`middleware`), and bodies of /v1.
"""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.http import QueryDict

from web.errors import UserError

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
MAX_DEPTH = 50  # Of lists and objects in each other.
MAX_INTEGER = 2**63 - 1  # What PostgreSQL's bigint holds.
MAX_ADDRESS_VALUE_CHARACTERS = 2_000  # Python reads no number of more than 4,300 digits.
ROOT = "The body"


class UnacceptableValue(UserError):
    code, status = "invalid_parameter", 400


def parse_uuid(text: str) -> UUID | None:
    """None for what is no UUID."""
    try:
        return UUID(text)
    except ValueError:
        return None


def parse_digits(text: str, most_digits: int = 9) -> int | None:
    """The whole number that a text spells; None for a sign, other digits than ASCII's, and too many
    of them."""
    is_number = text.isascii() and text.isdigit() and len(text) <= most_digits
    return int(text) if is_number else None


def require_text(text: str, param: str | None = None, *, place: str = ROOT) -> None:
    """Raises UnacceptableValue for a text that PostgreSQL or UTF-8 cannot hold.

    `place` says where a text stands that is no parameter's.
    """
    if UNSTORABLE.search(text):
        display = param or place
        raise UnacceptableValue(
            f"{display} holds a character that is no text: NUL or half of a surrogate pair."
            " Take it out.",
            param=param,
        )


def require_json(content: Any) -> None:
    """Check every text, number and level of parsed JSON. Raises UnacceptableValue naming where.

    Not recursive, so that no depth can exhaust the stack.
    """
    waiting: list[tuple[Any, str, int]] = [(content, "", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UnacceptableValue(
                f"{path.partition('.')[0] or ROOT} is nested deeper than {MAX_DEPTH} levels."
            )
        if isinstance(value, str):
            require_text(value, path or None)
        elif isinstance(value, dict):
            for key, inner in value.items():
                require_text(key)
                waiting.append((inner, f"{path}.{key}" if path else key, depth + 1))
        elif isinstance(value, list):
            waiting.extend((inner, path, depth + 1) for inner in value)
        else:
            _require_number(value, path)


def _require_number(value: Any, path: str) -> None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if is_integer and abs(value) > MAX_INTEGER:
        raise UnacceptableValue(
            f"{path or ROOT} is a whole number beyond {MAX_INTEGER:,}.", param=path or None
        )
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise UnacceptableValue(
            f"{path or ROOT} is a number that is not finite or beyond 1.7e308.", param=path or None
        )


def require_form(fields: QueryDict) -> None:
    """Check the names and texts of a form. Raises UnacceptableValue naming the field."""
    for name, values in fields.lists():
        require_text(name)
        for value in values:
            if isinstance(value, str):  # A form of the API holds its files too.
                require_text(value, name)


def require_address(path: str, query: QueryDict, cookies: Iterable[str]) -> None:
    """Check where a request goes, and its cookies. Raises UnacceptableValue."""
    require_text(path, place="The address")
    require_form(query)
    for name, values in query.lists():
        if max(map(len, (name, *values))) > MAX_ADDRESS_VALUE_CHARACTERS:
            raise UnacceptableValue(
                f"{name[:40]} is longer than {MAX_ADDRESS_VALUE_CHARACTERS:,} characters.",
                param=name[:40],
            )
    for cookie in cookies:
        require_text(cookie, place="This cookie")
