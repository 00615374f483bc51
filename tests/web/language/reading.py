"""What a reader sees of a page, and which of it is English."""

import re
from html.parser import HTMLParser

NOT_READ = {"script", "style", "code", "pre", "kbd", "svg", "textarea", "time"}
READ_ATTRIBUTES = {"aria-label", "title", "placeholder", "alt", "data-label"}
VOID = {"br", "img", "input", "hr", "wbr", "meta", "link", "source", "col"}
ENGLISH = re.compile(r"[A-Za-z][a-z’']+(?:[ ,;:]+[A-Za-z][a-z’'-]*){2,}")


class Reader(HTMLParser):
    """Collects the texts and the spoken attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID and (self.hidden or tag in NOT_READ):
            self.hidden.append(tag)
        elif not self.hidden:
            self.texts += [value for name, value in attrs if name in READ_ATTRIBUTES and value]

    def handle_endtag(self, tag: str) -> None:
        if self.hidden and self.hidden[-1] == tag:
            self.hidden.pop()

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.texts.append(" ".join(data.split()))


def english_in(html: str, allowed: tuple[str, ...] = ()) -> set[str]:
    """The texts of this page with three English words in a row, names apart."""
    reader = Reader()
    reader.feed(html)
    found = set()
    for text in reader.texts:
        rest = text
        for name in allowed:
            rest = rest.replace(name, "·")
        if ENGLISH.search(rest):
            found.add(text)
    return found
