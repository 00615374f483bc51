"""Looks at a finished table the way a careful colleague would, and says what to do about it.

Plain DuckDB over the Parquet file: no Django, no database. The result is JSON for the row and page.
"""

import math
from pathlib import Path
from typing import Any

import duckdb

from projects import picture_profile
from projects.reading import personal_data
from projects.reading.column_types import literal, quoted
from projects.suggesting import suggest

TOP_VALUES = 10
SHOWN_CHARS = 200
SHOWN_CLASSES = 100
EXACT_ROWS = 1_000_000  # Above this, distinct values are estimated (HyperLogLog, about 2% off).
LOOKS_LIKE_SHARE = 0.9
SHAPES = {
    "url": r"(https?://|www\.)\S+",
    "e-mail": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "uuid": r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "date": r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}( \d{1,2}:\d{2}.*)?",
}


def profile_table(
    connection: duckdb.DuckDBPyConnection, data: Path, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    """The whole profile of a Parquet file; `columns` are {"name", "type"} in their order."""
    table = f"read_parquet({literal(str(data))})"
    rows = int(_one(connection, f"SELECT count(*) FROM {table}")[0])
    if any(column["type"] == "image" for column in columns):
        return _with_pictures(connection, table, columns, rows)
    profile: dict[str, Any] = {
        "rows": rows,
        "columns": [_column(connection, table, column, rows) for column in columns],
        "duplicates": _duplicates(connection, table, rows, len(columns)),
    }
    suggested = suggest(columns, profile)
    profile["suggested"] = suggested
    target, texts = suggested["target_column"], suggested["text_columns"]
    is_classes = suggested["task"].endswith("classification")
    profile["class_balance"] = _balance(connection, table, target) if target and is_classes else []
    profile["label_noise_candidates"] = (
        _label_noise(connection, table, texts, target) if texts and target and is_classes else []
    )
    profile["personal_data"] = personal_data.find(connection, table, columns)
    profile["warnings"] = _warnings(profile)
    return profile


def _with_pictures(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[dict[str, Any]], rows: int
) -> dict[str, Any]:
    """The same of a table with a column of pictures; file names are not searched for secrets."""
    plain = [column for column in columns if column["type"] != "image"]
    seen = picture_profile.look_at(connection, table, columns)
    facts = {column["name"]: _column(connection, table, column, rows) for column in plain}
    profile: dict[str, Any] = {
        "rows": rows,
        "columns": [facts.get(column["name"], seen.column) for column in columns],
        "duplicates": seen.duplicates,
        "label_noise_candidates": seen.torn_labels,
        "personal_data": [],
        "pictures": seen.facts,
    }
    suggested = profile["suggested"] = suggest(columns, profile)
    target = suggested["target_column"]
    profile["class_balance"] = _balance(connection, table, target) if target else []
    profile["warnings"] = [*seen.warnings, *_warnings(profile)]
    return profile


def _column(
    connection: duckdb.DuckDBPyConnection, table: str, column: dict[str, Any], rows: int
) -> dict[str, Any]:
    name = quoted(column["name"])
    distinct = "count(DISTINCT" if rows <= EXACT_ROWS else "approx_count_distinct("
    filled, unique = _one(connection, f"SELECT count({name}), {distinct} {name}) FROM {table}")
    facts: dict[str, Any] = {
        "name": column["name"],
        "type": column["type"],
        "missing": rows - filled,
        "unique": unique,
        "examples": _examples(connection, table, name),
        "top_values": _top_values(connection, table, name),
    }
    if column["type"] in ("integer", "number"):
        facts |= _number_facts(connection, table, name)
    if column["type"] in ("text", "json"):
        facts |= _text_facts(connection, table, name, filled)
    return facts


def _examples(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> list[str]:
    found = connection.execute(
        f"SELECT {name}::VARCHAR FROM {table} WHERE {name} IS NOT NULL LIMIT 3"
    ).fetchall()
    return [_shown(value) for (value,) in found]


def _top_values(
    connection: duckdb.DuckDBPyConnection, table: str, name: str
) -> list[dict[str, Any]]:
    found = connection.execute(
        f"SELECT {name}::VARCHAR, count(*) FROM {table} WHERE {name} IS NOT NULL"
        f" GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {TOP_VALUES}"
    ).fetchall()
    return [{"value": _shown(value), "count": times} for value, times in found]


def _number_facts(
    connection: duckdb.DuckDBPyConnection, table: str, name: str
) -> dict[str, float | None]:
    row = _one(
        connection,
        f"SELECT min({name}), max({name}), avg({name}), median({name}) FROM {table}"
        f" WHERE isfinite({name}::DOUBLE)",
    )
    return dict(zip(("min", "max", "mean", "median"), map(_finite, row), strict=True))


def _text_facts(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, filled: int
) -> dict[str, Any]:
    shapes = ", ".join(
        f"count(*) FILTER (regexp_full_match(trim({name}), {literal(shape)}))"
        for shape in SHAPES.values()
    )
    low, mean, high, most, words, *matching = _one(
        connection,
        f"SELECT min(length({name})), avg(length({name})), quantile_cont(length({name}), 0.95),"
        f" max(length({name})),"
        f" avg(length(trim({name})) - length(replace(trim({name}), ' ', '')) + 1),"
        f" {shapes} FROM {table}",
    )
    looks_like = next(
        (
            shape
            for shape, count in zip(SHAPES, matching, strict=True)
            if filled and count >= LOOKS_LIKE_SHARE * filled
        ),
        "",
    )
    return {
        "lengths": {"min": low, "mean": _finite(mean), "p95": _finite(high), "max": most},
        "mean_length": _finite(mean),
        "mean_words": _finite(words),
        "looks_like": looks_like,
    }


def _duplicates(
    connection: duckdb.DuckDBPyConnection, table: str, rows: int, width: int
) -> int | None:
    """Rows that repeat an earlier row entirely; None where the table is too large to compare."""
    if rows * width > 50_000_000:
        return None
    distinct = _one(connection, f"SELECT count(*) FROM (SELECT DISTINCT * FROM {table})")[0]
    return int(rows - distinct)


def _balance(
    connection: duckdb.DuckDBPyConnection, table: str, target: str
) -> list[dict[str, Any]]:
    found = connection.execute(
        f"SELECT {quoted(target)}::VARCHAR, count(*) FROM {table}"
        f" WHERE {quoted(target)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {SHOWN_CLASSES}"
    ).fetchall()
    most = max((times for _, times in found), default=1)
    return [
        {"label": _shown(label), "count": times, "share_of_largest": round(times / most, 4)}
        for label, times in found
    ]


def _label_noise(
    connection: duckdb.DuckDBPyConnection, table: str, texts: list[str], target: str
) -> list[dict[str, Any]]:
    """The same text under different labels: at least one of them is wrong."""
    text = f"lower(trim(concat_ws(chr(10), {', '.join(quoted(name) for name in texts)})))"
    found = connection.execute(
        f"SELECT {text}, list(DISTINCT {quoted(target)}::VARCHAR), count(*)"
        f" FROM {table} WHERE {quoted(target)} IS NOT NULL AND {text} <> ''"
        f" GROUP BY 1 HAVING count(DISTINCT {quoted(target)}) > 1 ORDER BY 3 DESC, 1 LIMIT 50"
    ).fetchall()
    return [
        {"text": _shown(text), "labels": sorted(map(_shown, labels))[:10], "count": times}
        for text, labels, times in found
    ]


def _warnings(profile: dict[str, Any]) -> list[dict[str, str]]:
    found = [
        *_row_warnings(profile),
        *_class_warnings(profile["class_balance"], profile["suggested"]["target_column"]),
    ]
    for column in profile["columns"]:
        share = column["missing"] / profile["rows"]
        if share == 1:
            found.append(_warning(f"Column {column['name']} is empty.", "Leave it out."))
        elif share > 0.2:
            sentence = f"{share:.0%} of column {column['name']} is missing."
            found.append(_warning(sentence, "Check the export, or leave the column out."))
    if profile["personal_data"]:
        kinds = ", ".join(sorted({found["kind"] for found in profile["personal_data"]}))
        advice = "A model can repeat what it has seen. Mask these columns before training."
        found.append(_warning(f"There is personal data: {kinds}.", advice))
    return found


def _row_warnings(profile: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    rows, duplicates = profile["rows"], profile["duplicates"]
    if rows < 100:
        advice = "Expect a rough model. A few hundred rows, or 20 for each label, work better."
        found.append(_warning(f"There are only {rows} rows.", advice))
    if duplicates:
        advice = "Repeats are kept on one side of the test split, so scores stay honest."
        found.append(_warning(_repeats(duplicates), advice))
    if profile["label_noise_candidates"]:
        count = len(profile["label_noise_candidates"])
        what = "pictures" if "pictures" in profile else "texts"
        advice = f"Decide on one label for each; the {what} are listed below."
        found.append(_warning(f"{count} {what} come with more than one label.", advice))
    return found


def _class_warnings(balance: list[dict[str, Any]], target: str | None) -> list[dict[str, str]]:
    if not balance:
        return []
    found = []
    rare = [entry for entry in balance if entry["count"] < 10]
    if rare:
        shown = ", ".join(entry["label"][:40] for entry in rare[:3])
        advice = "Add examples, or merge rare labels into one."
        found.append(_warning(f"{len(rare)} labels have fewer than 10 rows: {shown}.", advice))
    if balance[0]["count"] > 20 * balance[-1]["count"]:
        sentence = f"{balance[0]['label'][:60]} is over 20 times as frequent as the rarest label."
        advice = "Read macro F1 rather than accuracy: always guessing it would look good."
        found.append(_warning(sentence, advice))
    folded: dict[str, str] = {}
    for entry in balance:
        twin = folded.setdefault(entry["label"].strip().casefold(), entry["label"])
        if twin != entry["label"]:
            sentence = f"{twin!r} and {entry['label']!r} in {target} differ only in case or spaces."
            found.append(_warning(sentence, "They are learnt as two labels. Spell them one way."))
    return found


def _warning(sentence: str, advice: str) -> dict[str, str]:
    return {"sentence": sentence, "advice": advice}


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return tuple(row)


def _finite(value: Any) -> float | None:
    """A number JSON can hold."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), 6)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _repeats(count: int) -> str:
    return "1 row repeats another row." if count == 1 else f"{count:,} rows repeat another row."
