"""Which texts of the templates are translated: those in `translate`, `blocktranslate`, `_("…")`."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.template.base import Lexer, Token, TokenType
from django.utils.translation import trim_whitespace

TRANSLATE = re.compile(r"""^(?:translate|trans)\s+(?:"([^"]*)"|'([^']*)')""")
MARKED = re.compile(r"""_\((?:"([^"]*)"|'([^']*)')\)""")
TABLE_TITLE = re.compile(r'"([^"]*)"')
BLOCK_START = re.compile(r"^(?:blocktranslate|blocktrans)\b(.*)$", re.DOTALL)


def texts_of(path: Path) -> Iterator[tuple[tuple[str, str | None], int]]:
    """(Message, plural or None) with its line, as Django looks them up."""
    block: list[Token] | None = None
    singular: list[Token] = []
    options = ""
    for token in Lexer(path.read_text()).tokenize():
        line = token.lineno or 0
        if block is not None and token.token_type == TokenType.BLOCK:
            if token.contents.strip() == "plural":
                singular, block = block, []
            else:
                first, second = (singular, block) if singular else (block, [])
                trimmed = "trimmed" in options.split()
                yield (_text(first, trimmed), _text(second, trimmed) if second else None), line
                block, singular = None, []
        elif block is not None:
            block.append(token)
        elif token.token_type == TokenType.BLOCK:
            if start := BLOCK_START.match(token.contents):
                block, options = [], start[1]
            for text in _texts_of_tag(token.contents):
                yield (text, None), line
        elif token.token_type == TokenType.VAR:
            for match in MARKED.finditer(token.contents):
                yield (match[1] or match[2], None), line


def _text(tokens: list[Token], trimmed: bool) -> str:
    text = "".join(
        f"%({token.contents.strip()})s"
        if token.token_type == TokenType.VAR
        else token.contents.replace("%", "%%")
        for token in tokens
    )
    return trim_whitespace(text) if trimmed else text


def _texts_of_tag(contents: str) -> Iterator[str]:
    if match := TRANSLATE.match(contents):
        yield (match[1] or match[2]).replace("%", "%%")
    for marked in MARKED.finditer(contents):
        yield (marked[1] or marked[2]).replace("%", "%%")
    if contents.startswith("table "):  # Its titles may end in a class: "Cost:num".
        for title in TABLE_TITLE.finditer(MARKED.sub("", contents)):
            if words := title[1].rpartition(":")[0] or title[1]:
                yield words
