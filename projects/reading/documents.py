"""Reads documents (PDF, Word, Markdown) as a table of passages: heading, text and page.

A passage is a few paragraphs under one heading, short enough to be quoted and to be embedded.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docx
from docx.opc.exceptions import PackageNotFoundError
from docx.table import Table
from markdown_it import MarkdownIt
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from projects.reading.limits import MAX_UNPACKED_BYTES
from projects.reading.results import Issues, TableSource, UnreadableFile

COLUMNS = ["heading", "text", "page"]
MAX_PASSAGE_CHARS, MIN_PASSAGE_CHARS = 800, 200  # Shorter neighbours under one heading are joined.
MAX_PAGES = 5_000
MAX_MARKDOWN_BYTES = 64 * 1024**2
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])")
HEADING_SEPARATOR = " › "
NO_TEXT = (
    "This document holds no text, perhaps only pictures of pages. Recognise its text first (OCR)."
)


@dataclass(frozen=True)
class Block:
    """A paragraph, a list item or a table row, with its headings and page."""

    heading: str
    text: str
    page: int | None = None


def open_document(path: Path, kind: str) -> TableSource:
    """The passages of a document of this kind: pdf, docx or markdown. Raises UnreadableFile."""
    readers = {"pdf": read_pdf, "docx": read_docx, "markdown": read_markdown}
    issues = Issues()
    passages = list(join_blocks(readers[kind](path, issues)))
    if not passages:
        raise UnreadableFile("no_text", NO_TEXT)
    return TableSource(
        names=COLUMNS,
        rows=iter(
            [block.heading, block.text, None if block.page is None else str(block.page)]
            for block in passages
        ),
        dialect={"format": kind},
        issues=issues,
        native_types={0: "text", 1: "text"},
    )


def read_pdf(path: Path, issues: Issues) -> Iterator[Block]:
    """The paragraphs of each page; pages without text become issues. Raises UnreadableFile."""
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableFile(
                "protected_document", "This PDF is protected by a password. Save it without one."
            )
        if len(reader.pages) > MAX_PAGES:
            raise UnreadableFile(
                "too_many_pages",
                f"This PDF has {len(reader.pages):,} pages; at most {MAX_PAGES:,} are read.",
            )
        for number, page in enumerate(reader.pages, 1):
            text = page.extract_text()
            if not text.strip():
                issues.add("page_without_text", f"Page {number} holds no text.", line=number)
            for paragraph in re.split(r"\n\s*\n", text):
                yield Block("", _unwrap(paragraph), number)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableFile(
            "bad_document", "This PDF is damaged and cannot be read. Save it again."
        ) from error


def _unwrap(paragraph: str) -> str:
    """The paragraph as one line; hyphenated words are joined, and Chinese lines get no space."""
    joined = re.sub(r"(?<=\w)-\n(?=\w)", "", paragraph)
    joined = re.sub(r"(?<=[\u3000-\u9fff])\s*\n\s*(?=[\u3000-\u9fff])", "", joined)
    return " ".join(joined.split())


def read_docx(path: Path, issues: Issues) -> Iterator[Block]:
    """Paragraphs and rows of tables under the headings above them. Raises UnreadableFile."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise UnreadableFile("document_too_large", "This document unpacks to more than 1 GB.")
        document = docx.Document(str(path))
        headings: dict[int, str] = {}
        for part in document.iter_inner_content():
            if isinstance(part, Table):
                for row in part.rows:
                    cells = dict.fromkeys(cell.text.strip() for cell in row.cells)
                    yield Block(_heading(headings), " | ".join(filter(None, cells)))
            elif (level := _heading_level(part.style.name if part.style else "")) is not None:
                _begin_heading(headings, level, part.text)
            else:
                yield Block(_heading(headings), " ".join(part.text.split()))
    except (
        # python-docx raises AttributeError where a part of the document is missing.
        PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError, OSError, AttributeError,
    ) as error:  # fmt: skip
        raise UnreadableFile(
            "bad_document", "This document is damaged and cannot be read. Save it again in Word."
        ) from error


def _heading_level(style: str | None) -> int | None:
    if style == "Title":
        return 0
    match = re.fullmatch(r"Heading (\d)", style or "")
    return int(match[1]) if match else None


def read_markdown(path: Path, issues: Issues) -> Iterator[Block]:
    """Paragraphs, items, rows and code under the headings above them. Raises UnreadableFile."""
    if path.stat().st_size > MAX_MARKDOWN_BYTES:
        raise UnreadableFile("document_too_large", "This document has more than 64 MB of text.")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    headings: dict[int, str] = {}
    level: int | None = None
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "inline":
            words = "".join(
                " " if child.type in ("softbreak", "hardbreak") else child.content
                for child in token.children or []
            )
            if level is None:
                yield Block(_heading(headings), " ".join(words.split()))
            else:
                _begin_heading(headings, level, words)
                level = None
        elif token.type in ("fence", "code_block"):
            yield Block(_heading(headings), token.content.strip())


def _begin_heading(headings: dict[int, str], level: int, text: str) -> None:
    """Begin a heading of this level, which ends those of the same and of deeper levels."""
    for ended in [other for other in headings if other >= level]:
        del headings[ended]
    if text.strip():
        headings[level] = " ".join(text.split())


def _heading(headings: dict[int, str]) -> str:
    return HEADING_SEPARATOR.join(headings[level] for level in sorted(headings))


def join_blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Passages of MIN to MAX_PASSAGE_CHARS where the headings and pages allow it."""
    waiting: Block | None = None
    for block in blocks:
        for text in _split_long(block.text):
            same = waiting is not None and (waiting.heading, waiting.page) == (
                block.heading,
                block.page,
            )
            if waiting is not None and same and len(waiting.text) < MIN_PASSAGE_CHARS:
                waiting = Block(block.heading, f"{waiting.text}\n{text}", block.page)
                continue
            if waiting is not None:
                yield waiting
            waiting = Block(block.heading, text, block.page)
    if waiting is not None:
        yield waiting


def _split_long(text: str) -> Iterator[str]:
    """Pieces of at most MAX_PASSAGE_CHARS that end where a sentence ends, unless it is longer."""
    piece = ""
    for sentence in SENTENCE_END.split(text.strip()):
        for start in range(0, len(sentence), MAX_PASSAGE_CHARS):
            part = sentence[start : start + MAX_PASSAGE_CHARS]
            if piece and len(piece) + len(part) >= MAX_PASSAGE_CHARS:
                yield piece
                piece = ""
            piece = f"{piece} {part}".strip()
    if piece:
        yield piece
