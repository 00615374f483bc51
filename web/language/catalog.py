"""The catalogue: texts are collected into a .po file, and compiled into the .mo that Django reads.

`python -m web.language.catalog` compiles (set-up does it), with `--collect` it first brings the .po
files up to date with templates and code. It needs no database and no gettext tools.
"""

import argparse
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from web.language import (
    allauth_texts,
    composed,
    model_texts,
    python_texts,
    script_texts,
    template_texts,
)

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "locale"
LANGUAGES = ("zh_Hans",)  # English is the language of the message ids.
APPS = ("accounts", "assistants", "billing", "engine", "inference", "projects", "training", "web")
HEADER = "# Texts of Lathe. Made by `python -m web.language.catalog --collect`; add the msgstr."
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # Never newer: no line changes by itself.
MessageId = str | tuple[str, str]


def po_file(language: str, root: Path = ROOT) -> Path:
    return root / "locale" / language / "LC_MESSAGES" / "django.po"


def collected(root: Path = ROOT) -> dict[MessageId, list[tuple[str, int]]]:
    """Every message of templates, Python and JavaScript, with the places where it stands."""
    locations: dict[MessageId, list[tuple[str, int]]] = {}
    for message, place, line in _texts(root):
        if any(character.isalpha() for character in str(message)):
            locations.setdefault(message, []).append((place, line))
    plurals = {one[0] for one in locations if isinstance(one, tuple)}
    return {one: places for one, places in locations.items() if one not in plurals}


def _texts(root: Path) -> Iterator[tuple[MessageId, str, int]]:
    for path in sorted((root / "templates").rglob("*")):
        if path.suffix in {".html", ".txt"}:
            for (text, plural), line in template_texts.texts_of(path):
                yield (text, plural) if plural else text, str(path.relative_to(root)), line
    yield from _texts_of_code(root)
    yield from model_texts.texts_of(root)
    yield from ((text, "web/language/composed.py", 0) for text in composed.TEXTS)
    for language in LANGUAGES:
        yield from ((text, "allauth", 0) for text in allauth_texts.texts_of(language))
    for path in script_texts.files(root):
        for text in script_texts.texts_of(path):
            yield text, path.relative_to(root).as_posix(), 0


def _texts_of_code(root: Path) -> Iterator[tuple[MessageId, str, int]]:
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            place = path.relative_to(root).as_posix()
            if not python_texts.NOT_ON_PAGES.search(place):
                for text, line in python_texts.texts_of(path):
                    yield text, place, line


def load(language: str, root: Path = ROOT) -> Catalog:
    """The catalogue as kept in the repository."""
    with po_file(language, root).open("rb") as file:
        return read_po(file, locale=language)


def collect(root: Path = ROOT) -> None:
    """Bring the .po files up to date: what is known keeps its translation, the rest waits."""
    for language in LANGUAGES:
        path = po_file(language, root)
        known = load(language, root) if path.exists() else Catalog(locale=language)
        fresh = Catalog(
            locale=language, header_comment=HEADER, creation_date=EPOCH, revision_date=EPOCH
        )
        fresh.fuzzy = False
        for message, places in collected(root).items():
            before = known.get(message if isinstance(message, str) else message[0])
            text = before.string if before else ("" if isinstance(message, str) else ("",))
            if isinstance(text, tuple) and isinstance(message, str):
                text = text[0]
            if isinstance(message, tuple) and isinstance(text, str):
                text = (text,)
            files = sorted({place for place, _ in places})[:3]
            fresh.add(message, text, locations=[(place, 0) for place in files])
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        write_po(
            buffer, fresh, width=100, include_lineno=False, sort_output=True, omit_header=False
        )
        path.write_bytes(buffer.getvalue())


def compile_all(root: Path = ROOT) -> None:
    """Make each .mo that is missing or older than its .po; readers see the old or the new one."""
    for language in LANGUAGES:
        source = po_file(language, root)
        target = source.with_suffix(".mo")
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            partial = target.with_suffix(f".{os.getpid()}")
            with partial.open("wb") as file:
                write_mo(file, load(language, root))
            partial.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collect", action="store_true", help="first collect the texts")
    if parser.parse_args().collect:
        collect()
    compile_all()


if __name__ == "__main__":
    main()
