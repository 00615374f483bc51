"""JSON inside a line of JavaScript, as archives of social networks and web sites have it."""

import re

# `window.YTD.tweets.part0 = [`, `const rows = [`, `export default {` and `callback([`.
OPENING = re.compile(
    r"\s*(?:(?:window|self|globalThis|module|exports)(?:\.\w+)+\s*="
    r"|(?:export\s+)?(?:const|let|var)\s+\w+\s*="
    r"|export\s+default\b"
    r"|[\w$.]+\()"
    r"\s*(?=[\[{])"
)
CLOSING = re.compile(r"[\s;)]*\Z")


def is_script_of_json(text: str) -> bool:
    return OPENING.match(text) is not None


def strip_script(text: str) -> tuple[str, str]:
    """The JSON inside, and what stood before it; the text as it is where nothing did."""
    opening = OPENING.match(text)
    if opening is None:
        return text, ""
    inside = CLOSING.sub("", text[opening.end() :])
    return inside, opening[0].strip()
