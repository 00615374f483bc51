"""Parts of a page that a screen reader cannot name."""

from html.parser import HTMLParser

NAMES = {"aria-label", "aria-labelledby", "title", "alt"}


class Reader(HTMLParser):
    """Collects column titles without words and pictures without a name."""

    def __init__(self) -> None:
        super().__init__()
        self.title: str | None = None  # Of the column being read.
        self.unnamed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = any(name in NAMES and value and value.strip() for name, value in attrs)
        if tag == "th":
            self.title = "named" if named else ""
        elif self.title is not None and named:
            self.title += "named"
        is_picture = ("role", "img") in attrs or ("role", "progressbar") in attrs or tag == "img"
        hidden = ("aria-hidden", "true") in attrs or (tag == "img" and "alt" in dict(attrs))
        if is_picture and not named and not hidden:
            self.unnamed.append(self.get_starttag_text() or tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "th":
            if not (self.title or "").strip():
                self.unnamed.append("<th> without words")
            self.title = None

    def handle_data(self, data: str) -> None:
        if self.title is not None:
            self.title += data


def unnamed_in(html: str) -> list[str]:
    reader = Reader()
    reader.feed(html)
    return reader.unnamed
