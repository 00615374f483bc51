"""Every text is translated, and every translation keeps what is put into it."""

import re
from functools import cache

import pytest

from web.language import catalog, python_texts

PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w*\}")
# Words that only English grammar needs: "row is" or "rows are".
GRAMMAR = {"{verb}", "{article}", "{is_are}"}


@cache
def collected():
    return catalog.collected()


@pytest.mark.parametrize("language", catalog.LANGUAGES)
def test_every_text_of_templates_code_and_scripts_is_translated(language):
    known = catalog.load(language)
    missing = []
    for message, places in collected().items():
        entry = known.get(message if isinstance(message, str) else message[0])
        strings = entry.string if entry and entry.string else ""
        if not (strings if isinstance(strings, str) else all(strings)):
            missing.append((message, places[0]))
    assert missing == [], "Run `python -m web.language.catalog --collect` and translate these."


@pytest.mark.parametrize("language", catalog.LANGUAGES)
def test_a_translation_keeps_its_placeholders_and_tags(language):
    wrong = []
    for entry in catalog.load(language):
        if not entry.id:
            continue
        ids = entry.id if isinstance(entry.id, tuple) else (entry.id,)
        strings = entry.string if isinstance(entry.string, tuple) else (entry.string,)
        placeholders = set(PLACEHOLDER.findall(ids[-1]))
        for string in strings:
            translated = set(PLACEHOLDER.findall(string))
            if translated - placeholders or placeholders - translated - GRAMMAR:
                wrong.append((ids[-1], string))
            if sorted(re.findall(r"</?\w+", ids[-1])) != sorted(re.findall(r"</?\w+", string)):
                wrong.append((ids[-1], string))
    assert wrong == []


def test_an_f_string_is_a_message_with_names(tmp_path):
    file = tmp_path / "one.py"
    file.write_text(
        "def say(token, rows):\n"
        '    """A docstring is no text."""\n'
        '    logger.info("Not for people to read")\n'
        "    warnings.append('Only a few rows: look closer.')\n"
        "    warnings.warn('Not for people either')\n"
        "    return f\"{token.name} holds {len(rows)} row{'s' if len(rows) > 1 else ''}.\"\n"
    )
    assert [text for text, _ in python_texts.texts_of(file)] == [
        "Only a few rows: look closer.",
        "{name} holds {rows} rows.",
        "{name} holds {rows} row.",
    ]


def test_compiling_leaves_what_is_up_to_date(tmp_path):
    folder = tmp_path / "locale" / "zh_Hans" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_text('msgid "Rows"\nmsgstr "行"\n')
    catalog.compile_all(tmp_path)
    compiled = (folder / "django.mo").stat()
    catalog.compile_all(tmp_path)
    assert (folder / "django.mo").stat().st_ino == compiled.st_ino
