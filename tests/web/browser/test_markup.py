"""What templates must not hold, whatever their values: cheap, so that axe need not find it."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.web.browser.markup import unnamed_in

TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
TAG = re.compile(r"{%\s*(.*?)\s*%}|{{\s*(.*?)\s*}}", re.DOTALL)
STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
TABLE_TAG = re.compile(r"{% table ([^%]*)%}")
SCOPES = {"with", "for"}


def test_no_template_has_a_column_or_picture_without_a_name():
    found = {}
    for path in TEMPLATES:
        source = path.read_text()
        unnamed = unnamed_in(TAG.sub("value", source))
        unnamed += [tag for tag in TABLE_TAG.findall(source) if re.search(r"\"(:[^\"]*)?\"", tag)]
        if unnamed:
            found[path.name] = unnamed
    assert len(TEMPLATES) > 100
    assert found == {}


def test_no_template_reads_a_word_outside_the_block_that_made_it():
    """What `asvar` and `as` make within `with` or `for` is gone after it, without an error."""
    assert {path.name: lost for path in TEMPLATES if (lost := lost_names(path.read_text()))} == {}


def lost_names(source: str) -> set[str]:
    made: list[tuple[str, tuple[int, ...]]] = []
    read: list[tuple[str, tuple[int, ...]]] = []
    open_scopes: list[int] = []
    for number, match in enumerate(TAG.finditer(source)):
        words = match[1] or match[2] or ""
        tag = words.split()[0] if match[1] else ""
        if tag in SCOPES:
            open_scopes.append(number)
        elif tag in {"endwith", "endfor"}:
            open_scopes.pop()
        making = re.search(r"\b(?:as|asvar) (\w+)", words) if tag not in SCOPES else None
        if making:
            made.append((making[1], tuple(open_scopes)))
            words = words[: making.start()]
        if tag not in {"block", "endblock"}:
            names = re.findall(r"(?<![\w.|])[a-z_]\w*\b(?!=)", STRING.sub("", words))
            read += [(name, tuple(open_scopes)) for name in names]
    return {
        name
        for name, scope in read
        if any(name == other for other, _ in made)
        and not any(name == other and scope[: len(home)] == home for other, home in made)
    }


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        ("{% with a=b %}{% url 'x' as y %}{% endwith %}{{ y }}", {"y"}),
        ("{% with a=b %}{% url 'x' as y %}{{ y }}{% endwith %}", set()),
        ("{% url 'x' as y %}{% with a=b %}{{ y|upper }}{% endwith %}", set()),
        ("{% for a in b %}{% translate 'x' as y %}{% endfor %}{% if y %}{% endif %}", {"y"}),
    ],
)
def test_a_lost_name_is_found(source, lost):
    assert lost_names(source) == lost


@pytest.mark.parametrize(
    ("html", "count"),
    [
        ("<th></th>", 1),
        ("<th scope='col'> </th>", 1),
        ("<th><span class='sr-only'>Acts</span></th>", 0),
        ("<th><input aria-label='All'></th>", 0),
        ("<div role='img' aria-label=''></div>", 1),
        ("<svg role='img' aria-label='12 of 20'></svg>", 0),
        ("<img src='x'>", 1),
        ("<img src='x' alt=''>", 0),
    ],
)
def test_an_unnamed_part_is_found(html, count):
    assert len(unnamed_in(html)) == count
