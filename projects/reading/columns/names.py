"""Column names people and programs can use: trimmed, never empty, never twice the same."""

import re

from projects.reading.limits import MAX_NAME_CHARS


def unique_column_names(originals: list[str]) -> list[str]:
    """One usable name per original; compared without case, as DuckDB and spreadsheets do."""
    used: set[str] = set()
    names = []
    for position, original in enumerate(originals, 1):
        name = _deduplicate(_clean_name(original) or f"column_{position}", used)
        used.add(name.casefold())
        names.append(name)
    return names


def _clean_name(original: str) -> str:
    visible = "".join(letter if letter.isprintable() else " " for letter in original)
    return re.sub(r"\s+", " ", visible).strip()[:MAX_NAME_CHARS].strip()


def _deduplicate(name: str, used: set[str]) -> str:
    if name.casefold() not in used:
        return name
    number = 2
    while f"{name}_{number}".casefold() in used:
        number += 1
    return f"{name}_{number}"
