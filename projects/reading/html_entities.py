"""Decodes HTML entities, such as &amp; and &#39;, in texts that were copied from web pages."""

import html
import json
import re
from contextlib import suppress
from html.entities import entitydefs

import duckdb

from projects.reading.fixes.html_tags import strip_cell

NAMES = "|".join(sorted([*entitydefs, "apos"], key=len, reverse=True))
PATTERN = rf"&(#[0-9]{{1,7}}|#[xX][0-9a-fA-F]{{1,6}}|{NAMES});"
_ENTITY = re.compile(PATTERN)
NO_BREAK = "\u00a0"


def register_html(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `decode_entities(text)` and `strip_tags(text)` known to SQL."""
    connection.create_function("strip_tags", strip_cell, ["VARCHAR"], "VARCHAR")
    connection.create_function("decode_entities", decode_cell, ["VARCHAR"], "VARCHAR")


def decode_entities(text: str) -> str:
    """The text with each entity as the character that it stands for; &nbsp; as a blank."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]).replace(NO_BREAK, " "), text)


def decode_cell(cell: str) -> str:
    """A cell with its entities decoded. In a cell of JSON only the strings are decoded, as &quot;
    decoded in place would end a string."""
    if cell.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return json.dumps(_decode_value(json.loads(cell)), ensure_ascii=False)
    return decode_entities(cell)


def _decode_value(value: object) -> object:
    if isinstance(value, str):
        return decode_entities(value)
    if isinstance(value, list):
        return [_decode_value(item) for item in value]
    if isinstance(value, dict):
        return {name: _decode_value(item) for name, item in value.items()}
    return value
