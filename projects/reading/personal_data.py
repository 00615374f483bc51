"""Finds and masks personal data: e-mail, phone, card, IBAN, Chinese identity number and IP address.

A pattern selects candidates, and a check (a checksum, a country's numbering plan) decides. Finding
and masking both use `find_matches`, so that only what would be reported is masked: order numbers
and timestamps stay as they are.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, NotRequired, TypedDict

import duckdb
import phonenumbers
from phonenumbers import NumberParseException
from stdnum import iban, luhn
from stdnum.cn import ric

from projects.reading.columns.column import ColumnInfo
from projects.reading.columns.sql import batched, quote_identifier, quote_literal

# How numbers without a country code are written where people write them. With fixed groups, so that
# dates, order numbers and versions do not read as phone numbers.
NATIONAL_NUMBERS = {
    "US": r"(?:\b1[ .-])?(?:\([2-9]\d{2}\) ?|\b[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}\b",
    "GB": r"(?:\(0\d{2,4}\) ?|\b0\d{2,4}[ -])\d{3,4}[ -]?\d{3,4}\b",
    "DE": r"(?:\(0\d{2,5}\) ?|\b0\d{2,5}[ /-])\d{3,9}(?:[ -]\d{1,5})?\b",
    "FR": r"\b0[1-9](?:(?: \d\d){4}|(?:\.\d\d){4}|(?:-\d\d){4})\b",
    "ES": r"\b[6-9]\d{2} \d{3} \d{3}\b|\b[6-9]\d{2}(?: \d\d){3}\b|\b9\d \d{3} \d\d \d\d\b",
    "IT": r"\b0\d{1,3}[ -]\d{5,8}\b|\b3\d{2}[ -]\d{7}\b|\b3\d{2} \d{3} \d{4}\b",
    "NL": r"\b0\d{1,3}[ -]\d{6,8}\b",
    "AU": r"(?:\(0\d\) ?|\b0\d )\d{4} \d{4}\b|\b04\d{2} \d{3} \d{3}\b",
    "JP": r"\b0\d{1,4}-\d{1,4}-\d{4}\b",
    "CN": r"\b1[3-9]\d[ -]\d{4}[ -]\d{4}\b|\b0\d{2,3}-\d{7,8}\b",
    "IN": r"\b[6-9]\d{4}[ -]\d{5}\b",
    "BR": r"\([1-9]{2}\) ?9?\d{4}-\d{4}\b",
}
# RE2 in DuckDB and Python's re (with re.ASCII) read these alike.
PATTERNS = {
    "e-mail": r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}",
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    "card": r"\b(?:[2-6]\d{12,18}|[2-6]\d{3}(?:[ -]\d{4}){3}(?:[ -]?\d{3})?"
    r"|3\d{3}[ -]\d{6}[ -]\d{4,5})\b",
    "ip": r"\b(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b",
    "cn-id": r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b",
    "cn-mobile": r"\b1[3-9]\d{9}\b",
    "phone": r"\+\d(?:[ .()-]{0,2}\d){6,14}\b|" + "|".join(NATIONAL_NUMBERS.values()),
}
COLUMNS_AT_ONCE = 100
SHORT_TABLE_ROWS, LONG_TABLE_ROWS = 2_000, 100_000
MAX_CANDIDATES = 20_000
INTEGER_KINDS = ("card", "cn-id", "cn-mobile")
SHORTEST_INTEGER = 10**10  # Mobile numbers have eleven digits, cards and identities more.
CONTEXT_CHARS = 16
_PHONE_CONTEXT = re.compile(
    r"phone|mobile|\bcell\b|\btel\b|call|手机|电话|联系|微信|号码|致电|拨打", re.I
)
# Five digits close together; of an IP address four, and of an IBAN two behind its country.
MANY_DIGITS = r"\d(?:[ .()/-]{0,2}\d){4}|\b[A-Z]{2}\d{2}|\d\.\d+\.\d+\.\d"
MIN_CARD_SHARE = 0.5  # Of the cells that look like a card number must be one.
_WHOLE_NUMBER = re.compile(r"[\d -]+")
_PHONE_COLUMN = re.compile(r"phone|mobile|cell|tel|contact|手机|电话|联系", re.I)
# Issuers' first digits and lengths (ISO/IEC 7812). One number in ten passes the Luhn check by
# chance; these leave out most that are none. Timestamps in milliseconds begin with 1.
CARD_RANGES = re.compile(
    r"4(\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}|35(2[89]|[3-8]\d)\d{12}"  # Amex, Diners Club, JCB
    r"|6(011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|(50|5[6-8]|6[37])\d{11,17}"  # Discover to Maestro
)
# A number that goes on before or behind is a part of something longer, such as an order number.
CONTINUES_BEFORE = re.compile(r"\w[-./_]$")
CONTINUES_BEHIND = re.compile(r"[-_]\w|[./]\d")


class PersonalDataFinding(TypedDict):
    """A kind of personal data that a column holds; the example is masked."""

    column: str
    kind: str
    count: int
    example: str
    is_partial: NotRequired[bool]  # Only MAX_CANDIDATES cells were checked: there may be more.


class Match(NamedTuple):
    """The position of personal data in a text."""

    kind: str
    start: int
    end: int


def find_personal_data(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[ColumnInfo]
) -> list[PersonalDataFinding]:
    """The kinds of personal data in each column of text, JSON or integers, with the number of cells
    that hold one."""
    candidates = [column for column in columns if column["type"] in ("text", "json", "integer")]
    integers = [column["name"] for column in candidates if column["type"] == "integer"]
    long_integers = _find_long(connection, table, integers)
    kinds_by_name = {
        column["name"]: INTEGER_KINDS if column["type"] == "integer" else tuple(PATTERNS)
        for column in candidates
        if column["type"] != "integer" or column["name"] in long_integers
    }
    findings: list[PersonalDataFinding] = []
    for name, texts in _load_candidates(connection, table, kinds_by_name).items():
        findings += _describe_column(name, texts, kinds_by_name[name])
    return findings


def _describe_column(
    name: str, texts: Sequence[str], kinds: Sequence[str]
) -> list[PersonalDataFinding]:
    findings: list[PersonalDataFinding] = []
    matches = [(text, list(find_matches(text))) for text in texts]
    for kind in kinds:
        examples = _find_in_cells(matches, name, kind)
        if examples:
            finding: PersonalDataFinding = {
                "column": name,
                "kind": kind,
                "count": len(examples),
                "example": _hide_middle(examples[0]),
            }
            if len(texts) == MAX_CANDIDATES:
                finding["is_partial"] = True
            findings.append(finding)
    return findings


def find_matches(text: str) -> Iterator[Match]:
    """The matches that pass their kind's check, without overlaps, in the order of PATTERNS."""
    matches: list[Match] = []
    for kind, pattern in COMPILED_PATTERNS.items():
        for candidate in pattern.finditer(text):
            start, end = candidate.span()
            is_free = all(end <= match.start or start >= match.end for match in matches)
            if is_free and CHECKS[kind](candidate):
                matches.append(Match(kind, start, end))
    return iter(matches)


def mask(text: str) -> str:
    """The text with every match replaced by its kind, such as <e-mail>."""
    for match in sorted(find_matches(text), key=lambda match: match.start, reverse=True):
        text = f"{text[: match.start]}<{match.kind}>{text[match.end :]}"
    return text


def mask_json(document: str) -> str:
    """A JSON document with its strings and numbers masked, so that it stays JSON."""
    try:
        value = json.loads(document)
        masked = _mask_value(value)
    except (ValueError, RecursionError):
        return mask(document)
    return document if masked == value else json.dumps(masked, ensure_ascii=False)


def register_masking(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `mask_personal_data(text)` and `mask_personal_json(text)` known to SQL."""
    connection.create_function("mask_personal_data", mask, ["VARCHAR"], "VARCHAR")
    connection.create_function("mask_personal_json", mask_json, ["VARCHAR"], "VARCHAR")


def _load_candidates(
    connection: duckdb.DuckDBPyConnection, table: str, kinds_by_name: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """For each column that may hold one of its kinds, at most MAX_CANDIDATES cells that may. Many
    columns are read in one query, as planning a query for each would cost more than reading the
    cells of a table that is not long."""
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    rows, names = int(row[0]) if row else 0, list(kinds_by_name)
    suspects: dict[str, list[str]] = {}
    if rows > LONG_TABLE_ROWS:  # One query each, which ends at the first such cell.
        suspects = {name: [] for name in names if _is_suspect(connection, table, name)}
    else:
        for group in batched(names, COLUMNS_AT_ONCE):
            suspects |= _load_suspects(connection, table, group, rows)
    if rows <= SHORT_TABLE_ROWS:
        return {
            name: [text for text in texts if _may_hold(text, kinds_by_name[name])]
            for name, texts in suspects.items()
        }
    return {
        name: _load_candidates_of_one(connection, table, name, kinds_by_name[name])
        for name in names
        if name in suspects
    }


def _is_suspect(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> bool:
    query = (
        f"SELECT 1 FROM (SELECT {quote_identifier(name)}::VARCHAR AS value FROM {table})"
        f" WHERE {_suspicious('value')} LIMIT 1"
    )
    return connection.execute(query).fetchone() is not None


def _load_suspects(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], rows: int
) -> dict[str, list[str]]:
    """The columns with a cell that may hold personal data; of a short table, with these cells."""
    # Named by place: a column may have any name.
    columns = ", ".join(
        f'{quote_identifier(name)}::VARCHAR AS "{place}"' for place, name in enumerate(names)
    )
    shown = "line::BIGINT, value" if rows <= SHORT_TABLE_ROWS else "NULL::BIGINT, NULL"
    found = connection.execute(
        f"SELECT DISTINCT place, {shown} FROM (UNPIVOT (SELECT row_number() OVER () AS line,"
        f" {columns} FROM {table}) ON COLUMNS(* EXCLUDE (line)) INTO NAME place VALUE value)"
        f" WHERE {_suspicious('value')} ORDER BY place::INTEGER, 2"
    ).fetchall()
    suspects: dict[str, list[str]] = {}
    for place, _, value in found:
        suspects.setdefault(names[int(place)], []).append(value)
    return suspects


def _find_long(connection: duckdb.DuckDBPyConnection, table: str, names: list[str]) -> set[str]:
    """The columns of integers whose highest value has as many digits as a mobile number. DuckDB
    takes it from the statistics of the file's row groups, mostly without reading cells; many
    columns are read in one query, as opening a wide file costs more."""
    long_columns: set[str] = set()
    for group in batched(names, COLUMNS_AT_ONCE):
        highest = ", ".join(f"max({quote_identifier(name)})" for name in group)
        row = connection.execute(f"SELECT {highest} FROM {table}").fetchone() or ()
        long_columns |= {
            name
            for name, value in zip(group, row, strict=False)
            if value is not None and value >= SHORTEST_INTEGER
        }
    return long_columns


def _suspicious(value: str) -> str:
    """SQL for a text with an @ or with many digits. Looking for any digit first costs half of what
    the pattern costs, and many texts have none."""
    has_digit = " OR ".join(f"contains({value}, '{digit}')" for digit in range(10))
    has_many = f"regexp_matches({value}, {quote_literal(MANY_DIGITS)})"
    return f"contains({value}, '@') OR (({has_digit}) AND {has_many})"


def _load_candidates_of_one(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, kinds: Sequence[str]
) -> list[str]:
    """The pattern is tried only on cells with an @ or with digits close together: every kind has
    one of these, and most cells have neither."""
    value = f"{quote_identifier(name)}::VARCHAR"
    patterns = "|".join(f"(?:{PATTERNS[kind]})" for kind in kinds)
    rows = connection.execute(
        f"SELECT {value} FROM {table} WHERE ({_suspicious(value)})"
        f" AND regexp_matches({value}, {quote_literal(patterns)}) LIMIT {MAX_CANDIDATES}"
    ).fetchall()
    return [text for (text,) in rows]


def _may_hold(text: str, kinds: Sequence[str]) -> bool:
    return any(COMPILED_PATTERNS[kind].search(text) for kind in kinds)


def _find_in_cells(
    matches: Sequence[tuple[str, Sequence[Match]]], name: str, kind: str
) -> list[str]:
    """One match of each cell that has one. `matches`: of each cell."""
    has_ids = kind in ("card", "cn-mobile") and _are_other_numbers(matches, kind, name)
    examples = []
    for text, cell_matches in matches:
        if has_ids and _WHOLE_NUMBER.fullmatch(text.strip()):
            continue
        match = next((match for match in cell_matches if match.kind == kind), None)
        if match:
            examples.append(text[match.start : match.end])
    return examples


def _are_other_numbers(
    matches: Sequence[tuple[str, Sequence[Match]]], kind: str, name: str
) -> bool:
    """Whether cells that are nothing but a number are ids. One random number in ten passes the
    check of a card, so a column of cards has to have more; a mobile number differs from an order
    number only by the column's name."""
    whole = [each for text, each in matches if _WHOLE_NUMBER.fullmatch(text.strip())]
    if kind == "cn-mobile":
        return bool(whole) and not _PHONE_COLUMN.search(name)
    passing = sum(any(match.kind == kind for match in each) for each in whole)
    return passing < MIN_CARD_SHARE * len(whole)


def _mask_value(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_mask_value(item) for item in value]
    if isinstance(value, dict):
        return {mask(key): _mask_value(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        masked = mask(str(value))
        return value if masked == str(value) else masked
    return value


def _is_card(candidate: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", candidate.group())
    return (
        CARD_RANGES.fullmatch(digits) is not None
        and len(set(digits)) > 1
        and _is_whole_number(candidate)
        and bool(luhn.is_valid(digits))
    )


def _is_phone(candidate: re.Match[str]) -> bool:
    """Whether a number with a country code is possible in that country, and whether one without is
    valid in a country where numbers are written like this."""
    text = candidate.group()
    if not _is_whole_number(candidate):
        return False
    try:
        if text.startswith("+"):
            return phonenumbers.is_possible_number(phonenumbers.parse(text))
        return any(
            phonenumbers.is_valid_number(phonenumbers.parse(text, region))
            for region, pattern in COMPILED_NATIONAL_NUMBERS.items()
            if pattern.fullmatch(text)
        )
    except NumberParseException:
        return False


def _is_chinese_mobile(candidate: re.Match[str]) -> bool:
    """Whether this is a mobile number of a Chinese operator: eleven digits that are the whole text,
    or that have a word for telephones nearby, as other digits in a text are order numbers."""
    text = candidate.string
    is_alone = text.strip() == candidate.group()
    near = text[max(0, candidate.start() - CONTEXT_CHARS) : candidate.end() + CONTEXT_CHARS]
    if not is_alone and not _PHONE_CONTEXT.search(near):
        return False
    if not _is_whole_number(candidate):
        return False
    return phonenumbers.is_valid_number(phonenumbers.parse(candidate.group(), "CN"))


def _is_whole_number(candidate: re.Match[str]) -> bool:
    before = candidate.string[max(0, candidate.start() - 2) : candidate.start()]
    behind = CONTINUES_BEHIND.match(candidate.string, candidate.end())
    return behind is None and not CONTINUES_BEFORE.search(before)


def _hide_middle(text: str) -> str:
    """The first and last two characters, the rest hidden."""
    return text[:2] + "•" * max(3, min(12, len(text) - 4)) + text[-2:]


COMPILED_PATTERNS = {kind: re.compile(pattern, re.ASCII) for kind, pattern in PATTERNS.items()}
COMPILED_NATIONAL_NUMBERS = {
    region: re.compile(pattern, re.ASCII) for region, pattern in NATIONAL_NUMBERS.items()
}
CHECKS: dict[str, Callable[[re.Match[str]], bool]] = {
    "e-mail": lambda candidate: True,
    "iban": lambda candidate: bool(iban.is_valid(candidate.group())),
    "card": _is_card,
    "cn-id": lambda candidate: bool(ric.is_valid(candidate.group().upper())),
    "cn-mobile": _is_chinese_mobile,
    "ip": lambda candidate: not CONTINUES_BEHIND.match(candidate.string, candidate.end()),
    "phone": _is_phone,
}
