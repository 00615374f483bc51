"""Strips HTML tags from texts that were copied from web pages and e-mails."""

import json
import re
from contextlib import suppress
from html.parser import HTMLParser

# By these names, as <name> may as well be a placeholder, and a < b a comparison.
_NAMES = (
    "a|abbr|article|b|big|blockquote|body|br|button|center|code|dd|del|div|dl|dt|em|figure|font|footer"
    "|form|h[1-6]|head|header|hr|html|i|img|input|ins|label|li|link|main|mark|meta|nav|ol|p|picture"
    "|pre|q|s|script|section|small|span|strike|strong|style|sub|sup|table|tbody|td|tfoot|th|thead|title"
    "|tr|tt|u|ul|video"
)
PATTERN = rf"(?i)</?(?:{_NAMES})(?:\s[^<>]*)?/?>"
_TAG = re.compile(PATTERN)
_LINES = frozenset({
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "tr", "ul",
})  # fmt: skip
_UNSEEN = frozenset({"script", "style", "head", "title"})
_BLANKS, _BLANK_LINES = re.compile(r"[ \t\u00a0]+"), re.compile(r" *\n[ \n]*")


class _Reader(HTMLParser):
    """Collects the text that a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self.unseen_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not _TAG.match(self.get_starttag_text() or ""):
            self.parts.append(self.get_starttag_text() or "")
        elif tag in _UNSEEN:
            self.unseen_depth += 1
        elif tag in _LINES:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.unseen_depth -= tag in _UNSEEN and self.unseen_depth > 0

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self.unseen_depth = max(0, self.unseen_depth - 1)
        elif tag in _LINES:
            self.parts.append("\n")
        elif not _TAG.match(f"</{tag}>"):
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.unseen_depth:
            self.parts.append(data)

    # Entities stay as they are: decoding them is a fix of its own.
    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")


def strip_tags(text: str) -> str:
    """The text without its tags; paragraphs, list items and rows of tables end a line. A text
    without tags is returned as it is."""
    if not _TAG.search(text):
        return text
    reader = _Reader()
    reader.feed(text)
    reader.close()
    shown = _BLANK_LINES.sub("\n", _BLANKS.sub(" ", "".join(reader.parts)))
    return shown.strip()


def strip_cell(cell: str) -> str:
    """A cell without tags; in a cell of JSON only the strings are changed."""
    if cell.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return json.dumps(_strip_value(json.loads(cell)), ensure_ascii=False)
    return strip_tags(cell)


def _strip_value(value: object) -> object:
    if isinstance(value, str):
        return strip_tags(value)
    if isinstance(value, list):
        return [_strip_value(item) for item in value]
    if isinstance(value, dict):
        return {name: _strip_value(item) for name, item in value.items()}
    return value
