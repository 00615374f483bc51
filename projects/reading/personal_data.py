"""Finds what points to a person, and masks it: e-mail, phone, card, IBAN and IP addresses.

Patterns are for finding, not for proof: card numbers must also pass the Luhn check (ISO/IEC 7812)
and IBANs the mod-97 check (ISO 13616) before they are counted.
"""

import re
from collections.abc import Iterable
from typing import Any

import duckdb

from projects.reading.column_types import literal, quoted

PATTERNS = {
    "e-mail": r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}",
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    "card": r"\b\d(?:[ -]?\d){12,18}\b",
    "ip": r"\b(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\b",
    "phone": r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\b\d{2,4}[ .-])\d{3,4}[ .-]?\d{3,4}\b",
}
MOST_CANDIDATES = 20_000


def find(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Each kind found in each text column: {column, kind, count, example}, examples masked."""
    found = []
    for column in columns:
        if column["type"] not in ("text", "json", "integer"):
            continue
        for kind, pattern in PATTERNS.items():
            count, example = _matches(connection, table, column, kind, pattern)
            if count:
                found.append(
                    {
                        "column": column["name"],
                        "kind": kind,
                        "count": count,
                        "example": _mask(example),
                    }
                )
    return found


def masking_sql(expression: str) -> str:
    """SQL that replaces every match in a text by its kind, such as <e-mail>."""
    for kind, pattern in PATTERNS.items():
        expression = f"regexp_replace({expression}, {literal(pattern)}, '<{kind}>', 'g')"
    return expression


def _matches(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    column: dict[str, Any],
    kind: str,
    pattern: str,
) -> tuple[int, str]:
    if column["type"] == "integer" and kind != "card":
        return 0, ""
    value = f"{quoted(column['name'])}::VARCHAR"
    rows = connection.execute(
        f"SELECT regexp_extract({value}, {literal(pattern)}) FROM {table}"
        f" WHERE regexp_matches({value}, {literal(pattern)}) LIMIT {MOST_CANDIDATES}"
    ).fetchall()
    genuine = [text for (text,) in rows if _is_genuine(kind, text)]
    return len(genuine), genuine[0] if genuine else ""


def _is_genuine(kind: str, text: str) -> bool:
    if kind == "card":
        return passes_luhn(re.sub(r"\D", "", text))
    if kind == "iban":
        return passes_mod97(text.replace(" ", ""))
    if kind == "phone":
        return 7 <= len(re.sub(r"\D", "", text)) <= 15 and not re.fullmatch(r"[\d.]+", text)
    return True


def passes_luhn(digits: str) -> bool:
    """The checksum of payment card numbers."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return (
        sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0
        and len(set(digits)) > 1
    )


def passes_mod97(iban: str) -> bool:
    """The checksum of international bank account numbers."""
    moved = iban[4:] + iban[:4]
    return moved.isalnum() and int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def _mask(text: str) -> str:
    """The first and last two characters, the rest hidden."""
    return text[:2] + "•" * max(3, min(12, len(text) - 4)) + text[-2:]
