"""The help pages under /docs/: the files of docs/, as HTML."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from markdown_it import MarkdownIt
from markdown_it.token import Token

DOCS_DIR = Path(settings.BASE_DIR) / "docs"
# Who reads what. A file of docs/ that stands here is a page under its name without ".md".
GROUPS: list[tuple[str, list[str]]] = [
    (
        "Use Lathe",
        [
            "getting-started",
            "data",
            "report",
            "endpoints",
            "assistants",
            "voice",
            "costs",
            "account",
        ],
    ),
    ("Build on it", ["openai-api", "webhooks", "search-and-exports", "limits"]),
    ("Run it yourself", ["operating", "front", "billing", "stripe", "figures"]),
    ("Change it", ["architecture", "glossary", "adding-a-task", "languages"]),
]
TRANSLATED_GROUPS = 2  # Those for who uses Lathe are in every language, the others in English.
SLUGS = [slug for _, slugs in GROUPS for slug in slugs]


@dataclass(frozen=True)
class Document:
    slug: str
    title: str
    html: SafeString
    headings: list[tuple[str, str]]  # Of the second level: id and words.
    is_translated: bool  # Into the language of the page.


def list_documents() -> list[tuple[str, list[Document]]]:
    """Every page by its group; what this installation lacks is left out."""
    return [
        (group, [page for slug in slugs if (page := find_document(slug)) is not None])
        for group, slugs in GROUPS
    ]


def find_document(slug: str) -> Document | None:
    if slug not in SLUGS:  # Also longer than any file's name may be.
        return None
    language = str(get_language())
    own = DOCS_DIR / language / f"{slug}.md"
    path = own if own.is_file() else DOCS_DIR / f"{slug}.md"
    if not path.is_file():
        return None
    is_translated = path == own or language.startswith("en")
    return _read_document(slug, path, path.stat().st_mtime, is_translated=is_translated)


@lru_cache(maxsize=4 * len(SLUGS))
def _read_document(slug: str, path: Path, _changed_at: float, *, is_translated: bool) -> Document:
    """Raw HTML in the files is shown as text: only Markdown becomes markup.

    Headings of a translation have the anchors of the English page, too, which pages' links name.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(path.read_text())
    english = _english_anchors(slug, markdown) if path.parent != DOCS_DIR else iter(())
    title, headings = slug, []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            words = tokens[place + 1].content.replace("`", "")
            token.attrSet("id", _anchor_of(words))
            if anchor := next(english, ""):
                further = Token(
                    "html_inline", "", 0, content=format_html('<i id="{}"></i>', anchor)
                )
                tokens[place + 1].children = [further, *(tokens[place + 1].children or [])]
            if token.tag == "h1":
                title = words
            elif token.tag == "h2":
                headings.append((_anchor_of(words), words))
        elif token.type == "fence" or token.type == "code_block":
            token.attrSet("tabindex", "0")
        for child in token.children or []:
            if child.type == "link_open":
                _point_to_page(child)
    html = markdown.renderer.render(tokens, markdown.options, {})
    return Document(slug, title, mark_safe(html), headings, is_translated)  # noqa: S308


def _english_anchors(slug: str, markdown: MarkdownIt) -> Iterator[str]:
    """Of the headings of the English page, in their order, which a translation keeps."""
    tokens = markdown.parse((DOCS_DIR / f"{slug}.md").read_text())
    return (
        _anchor_of(tokens[place + 1].content.replace("`", ""))
        for place, token in enumerate(tokens)
        if token.type == "heading_open"
    )


def _anchor_of(words: str) -> str:
    letters = "".join(letter for letter in words.lower() if letter.isalnum() or letter in " -")
    return letters.replace(" ", "-")


def _point_to_page(link: Token) -> None:
    """A link to another file leads to its page; one to a file that is no page leads nowhere."""
    target, _, anchor = str(link.attrGet("href") or "").partition("#")
    if target.startswith(("http:", "https:", "mailto:", "/")) or not target:
        return
    slug = PurePosixPath(target).stem
    fragment = f"#{anchor}" if anchor else ""
    link.attrSet("href", reverse("doc", args=[slug]) + fragment if slug in SLUGS else "#")
