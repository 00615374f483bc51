"""Templates hold no text that is not marked for translation."""

import re
from pathlib import Path

from django.conf import settings

TEMPLATES = Path(settings.BASE_DIR) / "templates"
# The widget speaks the customer's languages, these show one name.
ELSEWHERE = ("assistants/widget.html", "assistants/_widget_voice.html")
NAMES = {"Lathe", "lathe", "CSV", "JSON", "API", "UTC", "curl", "Python", "GiB", "MiB", "ROUGE"}
OPAQUE = re.compile(
    r"\{#.*?#\}|\{%\s*comment.*?endcomment\s*%\}|\{%\s*blocktranslate.*?endblocktranslate\s*%\}"
    r"|<(script|style|pre|code|kbd|svg|textarea)\b.*?</\1>",
    re.DOTALL,
)
TEMPLATE_TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
HTML_TAG = re.compile(r"<[^<>]*>", re.DOTALL)
SPOKEN = re.compile(r'(?<![\w-])(?:aria-label|title|placeholder|alt|data-label)="([^"]*)"')
ENTITY = re.compile(r"&\w+;")
WORD = re.compile(r"[A-Za-z]{3,}")


def unmarked(source: str) -> set[str]:
    bare = TEMPLATE_TAG.sub(" ", OPAQUE.sub(" ", source))
    texts = [*SPOKEN.findall(bare), *HTML_TAG.sub("\n", bare).splitlines()]
    return {text.strip() for text in texts if set(WORD.findall(ENTITY.sub(" ", text))) - NAMES}


def test_every_text_is_marked():
    found = {}
    for path in TEMPLATES.rglob("*.html"):
        place = path.relative_to(TEMPLATES).as_posix()
        if not place.startswith(ELSEWHERE) and (texts := unmarked(path.read_text())):
            found[place] = texts
    assert found == {}


def test_a_bare_text_and_a_bare_attribute_are_found():
    assert unmarked("<p>Hello there</p>") == {"Hello there"}
    assert unmarked('<a title="Hello there">{% translate "x" %}</a>') == {"Hello there"}
    assert (
        unmarked("<p>{% translate 'Hello there' %} · {{ name }} <code>curl me</code></p>") == set()
    )
