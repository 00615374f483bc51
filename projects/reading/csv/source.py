"""Opens delimited text (CSV, TSV and others) as a TableSource: the dialect is detected from a
sample, then the file is streamed."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from projects.reading.columns.column import ColumnQuestion, ReadingSamples
from projects.reading.csv.dialect import CsvDialect, detect_dialect
from projects.reading.csv.fasttext import is_fasttext, read_fasttext
from projects.reading.csv.header_rows import NUMBER
from projects.reading.csv.records import split_records
from projects.reading.csv.row_estimate import refuse_long_csv
from projects.reading.csv.rows import LineCounter, normalize_rows
from projects.reading.csv.straightened import open_straightened
from projects.reading.csv.vectorized import open_bulk_reader
from projects.reading.encodings import detection as encodings
from projects.reading.limits import (
    MAX_LINE_CHARS,
    SAMPLE_CHARS,
    SAMPLE_LINES,
)
from projects.reading.results import (
    Dialect,
    Issues,
    ReadingOptions,
    TableSource,
    UnreadableFile,
)
from projects.reading.stacked_tables import report_further_tables

MAX_SHOWN_CELLS = 5
MYSQL_MISSING = r"\N"
CURLY_QUOTES = str.maketrans("“”", '""')
MIN_FRAMED_SHARE = 0.9
MAX_R_LINES = 200
R_MISSING, BARE_WORDS = "NA", frozenset({"NA", "TRUE", "FALSE", "Inf", "-Inf", "NaN"})
MIN_ALIGNED, ALIGNED_LINES = 4, 50  # Lines, of which it is asked whether blanks align columns.
LINE_IN_QUOTES = re.compile(r'"(?:[^"]|"")+"')
UNUSED_SEPARATORS = (":", "#", r"\s+")
WIDE_SEPARATORS = ("::", "||", ";;", "~~", "^^")
WIDE_SEPARATOR_STAND_IN = "\x1f"
# Text converted twice keeps Windows-1252 dashes and quotes as control codes U+0080 to U+009F.
# A line that also holds codes which Windows-1252 leaves undefined means them as they are.
STRAY_CP1252 = re.compile("[\x80\x82-\x84\x86-\x8c\x8e\x91-\x9c\x9e\x9f]")
UNDEFINED_IN_CP1252 = re.compile("[\x81\x8d\x8f\x90\x9d]")
CP1252_TRANSLATION = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if not UNDEFINED_IN_CP1252.match(chr(code))
}
# Byte order marks of files that were joined, or of cells that were. Inside a text they stay.
CELL_MARKS = re.compile(r"""(?:^|(?<=[,;\t|"]))\ufeff+""")


def open_csv(path: Path, overrides: ReadingOptions, scratch: Path | None = None) -> TableSource:
    """The file as a table of text. Raises UnreadableFile when there is no table in it. `scratch` is
    a folder for a copy of a large file."""
    encoding = encodings.choose_encoding(path, overrides)
    sample = list(itertools.islice(_read_lines(path, encoding, Issues()), SAMPLE_LINES))
    sizes = itertools.accumulate(map(len, sample))
    fitting = sum(size <= SAMPLE_CHARS for size in sizes)
    sample = sample[: max(1, fitting)]
    if not any(line.strip() for line in sample):
        raise UnreadableFile("empty_file", "This file is empty: there is no row in it.")
    if is_fasttext(sample):
        lines = _read_lines(path, encoding, fasttext_issues := Issues())
        about: Dialect = {"format": "fasttext", "encoding": encoding.base_name}
        return read_fasttext(lines, about, fasttext_issues)
    wide = "" if overrides.get("delimiter") else _find_wide_separator(sample)
    rewriting = _choose_rewriting(sample, wide, overrides)
    if wide:
        overrides = {**overrides, "delimiter": WIDE_SEPARATOR_STAND_IN}
    if rewriting:
        sample = list(map(rewriting.rewrite, sample))
    dialect = detect_dialect(sample, overrides)
    if rewriting is None:
        refuse_long_csv(path, encoding.name, dialect)
    issues = Issues()
    _add_dialect_issues(encoding, dialect, sample, issues)
    lines = _read_lines(path, encoding, issues)
    if rewriting:
        lines = map(rewriting.rewrite, lines)
        if rewriting.issue_code:
            issues.add(rewriting.issue_code, rewriting.sentence)
    records = split_records(lines, dialect.delimiters, width=dialect.width)
    dialect = _with_habits(sample, dialect, issues)
    return TableSource(
        names=column_names(dialect),
        rows=normalize_rows(records, dialect, issues),
        dialect=_describe_dialect(encoding, dialect, sample, wide),
        issues=issues,
        questions=header_questions(dialect),
        bulk=None
        if rewriting and not wide
        else open_bulk_reader(path, encoding, dialect, issues, scratch),
        straighten=None
        if rewriting or scratch is None
        else partial(open_straightened, path, encoding, dialect, issues, scratch),
    )


@dataclass(frozen=True)
class _Rewriting:
    """A change to each line before it is split into cells, and the issue that reports it."""

    rewrite: Callable[[str], str]
    issue_code: str = ""
    sentence: str = ""


def _choose_rewriting(sample: list[str], wide: str, overrides: ReadingOptions) -> _Rewriting | None:
    if wide:
        return _Rewriting(lambda line: line.replace(wide, WIDE_SEPARATOR_STAND_IN))
    if _has_curly_quotes(sample):
        sentence = "Curly quotation marks around cells were read as straight ones."
        return _Rewriting(lambda line: line.translate(CURLY_QUOTES), "curly_quotes", sentence)
    if _are_lines_in_quotes(sample, overrides):
        sentence = "Every line stands in quotation marks; they were taken away."
        return _Rewriting(_without_outer_quotes, "quoted_lines", sentence)
    return None


def _are_lines_in_quotes(sample: list[str], overrides: ReadingOptions) -> bool:
    """Whether each line as a whole is one cell in quotes that holds a row of a table."""
    lines = [line.strip() for line in sample if line.strip()]
    if len(lines) < MIN_ALIGNED or not all(map(LINE_IN_QUOTES.fullmatch, lines)):
        return False
    inner = list(map(_without_outer_quotes, lines))
    dialect = detect_dialect(inner, overrides)
    widths = {len(record.cells) for record in split_records(iter(inner), dialect.delimiters)}
    return len(widths) == 1 and dialect.width > 1


def _without_outer_quotes(line: str) -> str:
    text = line.strip()
    return f"{text[1:-1]}\n".replace('""', '"') if LINE_IN_QUOTES.fullmatch(text) else line


def _with_habits(sample: list[str], dialect: CsvDialect, issues: Issues) -> CsvDialect:
    """The dialect with the ways in which the file writes missing values and text formulas."""
    if _has_text_formulas(sample, dialect):
        dialect = replace(dialect, has_text_formulas=True)
    if _writes_missing_as_mysql(sample, dialect):
        sentence = f"{MYSQL_MISSING} was read as missing, as MySQL and PostgreSQL write it."
        issues.add("missing_words", sentence)
        return replace(dialect, missing_word=MYSQL_MISSING)
    if _writes_missing_as_r(sample, dialect):
        sentence = f"{R_MISSING} outside quotation marks was read as missing, as R writes it."
        issues.add("missing_words", sentence)
        return replace(dialect, missing_word=R_MISSING)
    return dialect


def header_questions(dialect: CsvDialect) -> list[ColumnQuestion]:
    """Whether the first row names the columns, where its cells do not tell."""
    cells = [cell for cell in dialect.doubtful_header if cell.strip()][:MAX_SHOWN_CELLS]
    if not cells:
        return []
    guess = "names" if dialect.header else "a row of data"
    as_names: ReadingSamples = {
        "name": "header:1", "values": [f"name of a column: {cell}"[:200] for cell in cells],
    }  # fmt: skip
    as_data: ReadingSamples = {
        "name": "header:0", "values": [f"value in the first row: {cell}"[:200] for cell in cells],
    }  # fmt: skip
    return [
        {
            "column": "",
            "code": "header",
            "sentence": "Does the first line name the columns, or is it the first row? Its cells"
            f" can be either; it was taken for {guess}.",
            "cells": [cell[:200] for cell in cells],
            "readings": [as_names, as_data],
        }
    ]


def _find_wide_separator(sample: list[str]) -> str:
    """A separator of two characters, as in MovieLens' 1::122::5, with the same count in every line;
    "" when there is none."""
    lines = [line for line in sample if line.strip()]
    for wide in WIDE_SEPARATORS:
        counts = {line.count(wide) for line in lines}
        is_regular = len(lines) > 1 and len(counts) == 1 and counts != {0}
        # An empty column is another matter, as in a;;b;c.
        if is_regular and not any(wide[0] in line.replace(wide, "") for line in lines):
            return wide
    return ""


def _has_text_formulas(sample: list[str], dialect: CsvDialect) -> bool:
    before = rf"(?:^|{re.escape(dialect.delimiters.delimiter)})"
    return re.search(rf'{before}="', "".join(sample), re.MULTILINE) is not None


def _writes_missing_as_r(sample: list[str], dialect: CsvDialect) -> bool:
    """Whether the file quotes all text, so that a bare NA is a missing value and no text."""
    quote, mark = re.escape(dialect.delimiters.quote), re.escape(dialect.delimiters.delimiter)
    text = "".join(sample[:MAX_R_LINES])
    if not quote or f"{quote}{R_MISSING}{quote}" in text or R_MISSING not in text:
        return False
    bare = re.sub(rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}", quote, text)
    cells = [cell.strip() for line in bare.splitlines() for cell in re.split(mark, line)]
    words = [cell for cell in cells if cell and cell != dialect.delimiters.quote]
    return (
        R_MISSING in words
        and dialect.delimiters.quote in cells
        and all(word in BARE_WORDS or NUMBER.fullmatch(word) for word in words)
    )


def _writes_missing_as_mysql(sample: list[str], dialect: CsvDialect) -> bool:
    mark = re.escape(dialect.delimiters.delimiter)
    cell = rf"(?:^|{mark}){re.escape(MYSQL_MISSING)}(?={mark}|[\r\n]|$)"
    return re.search(cell, "".join(sample), re.MULTILINE) is not None


def _has_curly_quotes(sample: list[str]) -> bool:
    """Whether a word processor curled the quotation marks around cells."""
    lines = [line.strip() for line in sample if line.strip()]
    framed = sum(line[0] == "“" and line[-1] == "”" for line in lines)
    return framed > MIN_FRAMED_SHARE * len(lines) and not any('"' in line for line in lines)


def column_names(dialect: CsvDialect) -> list[str]:
    """The name of each column as written, header rows joined; "" for a column without a name."""
    if not dialect.header:
        return [""] * dialect.width
    padding = [""] * dialect.width
    rows = [[*record.cells, *padding][: dialect.width] for record in dialect.header]
    for row in rows[:-1]:
        # A title over several columns is written once; it holds for the empty cells to its right.
        for index in range(1, len(row)):
            row[index] = row[index] if row[index].strip() else row[index - 1]
    names = []
    for cells in zip(*rows, strict=True):
        parts = dict.fromkeys(cell.strip() for cell in cells if cell.strip())
        names.append(" ".join(parts))
    return names


def _read_lines(path: Path, encoding: encodings.Encoding, issues: Issues) -> Iterator[str]:
    zeros, strays = LineCounter(), LineCounter()
    with open(path, encoding=encoding.name, errors="replace", newline="") as file:
        for number, line in enumerate(_read_bounded_lines(file), 1):
            if "\0" in line:
                zeros.add(number)
                line = line.replace("\0", "")
            if _has_stray_cp1252(line):
                strays.add(number)
                line = line.translate(CP1252_TRANSLATION)
            yield CELL_MARKS.sub("", line) if "\ufeff" in line else line
    if strays.count:
        issues.add(
            "stray_western",
            f"On {'1 line' if strays.count == 1 else f'{strays.count:,} lines'}"
            " control codes were read as the Windows-1252 dashes and"
            " quotation marks they stand for.",
            strays.first_line,
        )
    if zeros.count:
        sentence = (
            f"NUL characters on {'1 line' if zeros.count == 1 else f'{zeros.count:,} lines'}"
            " were taken out."
        )
        issues.add("zero_bytes", sentence, zeros.first_line)


def _has_stray_cp1252(line: str) -> bool:
    return (
        not line.isascii()
        and STRAY_CP1252.search(line) is not None
        and UNDEFINED_IN_CP1252.search(line) is None
    )


def _read_bounded_lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(MAX_LINE_CHARS):
        if len(line) == MAX_LINE_CHARS:
            raise UnreadableFile(
                "line_too_long",
                f"A line of this file is longer than {MAX_LINE_CHARS:,} characters. Is it a text"
                " table?",
            )
        yield line


def _unused_separator(sample: list[str]) -> str:
    """A character that occurs equally often in every line; "" when there is none."""
    lines = [line.strip() for line in sample if line.strip()]
    for separator in UNUSED_SEPARATORS:
        counts = {len(re.split(separator, line)) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {1}:
            return {r"\s+": "a blank"}.get(separator, separator)
    return ""


def _is_aligned(sample: list[str]) -> bool:
    """Whether most lines hold several gaps of blanks that end where those of other lines do."""
    lines = [line.rstrip() for line in sample[:ALIGNED_LINES] if line.strip()]
    ends = Counter(gap.end() for line in lines for gap in re.finditer(r"(?<=\S) {2,}", line))
    gaps = [len(re.findall(r"\S {2,}", line)) for line in lines]
    starts = sum(count >= len(lines) / 2 for count in ends.values())
    return len(lines) >= MIN_ALIGNED and min(gaps[1:]) > 0 and (starts > 1 or len(set(gaps)) == 1)


def _add_dialect_issues(
    encoding: encodings.Encoding, dialect: CsvDialect, sample: list[str], issues: Issues
) -> None:
    encodings.report_doubts(encoding, issues)
    encodings.report_double_encoding(sample, issues)
    if any(not line.strip() for line in sample):
        report_further_tables(
            list(split_records(iter(sample), dialect.delimiters)), dialect, issues
        )
    for record in dialect.preamble:
        text = " ".join(cell.strip() for cell in record.cells if cell.strip())[:80]
        sentence = f"Line {record.line} above the header was left out: {text}"
        issues.add("preamble", sentence, record.line)
    if (separator := _unused_separator(sample)) and dialect.width == 1:
        issues.add(
            "one_column",
            f"Only one column was found, though every line holds {separator!r} equally often. Does"
            " it separate columns? Save the file as CSV, or choose the separator below.",
        )
    elif dialect.width == 1 and _is_aligned(sample):
        issues.add(
            "one_column",
            "Only one column was found, though blanks seem to align several, as when a table is"
            " printed. Save the table as CSV instead.",
        )
    if dialect.names_rows:
        issues.add(
            "row_names",
            "The header has one name less than the rows have values: the first value of each row"
            " was read as the row's name, as R writes it.",
        )
    if dialect.fill_short_rows:
        sentence = "Rows with too few values were filled with missing values at the end."
        issues.add("short_rows", sentence)


def _describe_dialect(
    encoding: encodings.Encoding, dialect: CsvDialect, sample: list[str], wide: str
) -> Dialect:
    ends = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
    return {
        "format": "delimited",
        "encoding": encoding.base_name,
        "encoding_why": encoding.reason,
        "delimiter": wide or dialect.delimiters.delimiter,
        "quote": dialect.delimiters.quote,
        "escape": dialect.delimiters.escape,
        "line_ends": next((ends[end] for end in ends if sample[0].endswith(end)), "none"),
        **describe_header(dialect),
    }


def describe_header(dialect: CsvDialect) -> Dialect:
    """Where the header is, in words for the dataset page."""
    above = [*dialect.preamble, *dialect.header[:1]]
    return {
        "header_rows": len(dialect.header),
        "header_why": dialect.header_reason,
        "skip_lines": max(0, dialect.header[0].line - 1)
        if dialect.header
        else (above[-1].line if above else 0),
        "preamble": [" ".join(record.cells).strip()[:200] for record in dialect.preamble[:10]],
        "short_rows": "fill" if dialect.fill_short_rows else "reject",
    }
