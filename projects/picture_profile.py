"""What can be said of a column of pictures: sizes, repeats, the same picture on two sides."""

from dataclasses import dataclass
from typing import Any

import duckdb

from projects.reading.column_types import quoted

SHOWN = 50
SMALL_SIDE = 64


@dataclass(frozen=True)
class PictureFacts:
    column: dict[str, Any]  # As every column's facts in the profile.
    duplicates: int
    torn_labels: list[dict[str, Any]]  # The same picture under several labels.
    warnings: list[dict[str, str]]
    facts: dict[str, Any]


def look_at(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[dict[str, Any]]
) -> PictureFacts:
    """Reads each picture's bytes once, to hash them; equal means equal byte for byte."""
    name = next(column["name"] for column in columns if column["type"] == "image")
    present = {column["name"] for column in columns}
    texts = {
        role: f"{quoted(role)}::VARCHAR" if role in present else "NULL::VARCHAR"
        for role in ("label", "split", "file")
    }
    connection.execute(
        f"CREATE TEMP TABLE looked_at AS SELECT sha256({quoted(name)}) AS digest,"
        f" octet_length({quoted(name)}) AS bytes,"
        f" {', '.join(f'{sql} AS {role}' for role, sql in texts.items())} FROM {table}"
    )
    rows, filled, unique, most, total = _one(
        connection,
        "SELECT count(*), count(digest), count(DISTINCT digest), max(bytes), sum(bytes)"
        " FROM looked_at",
    )
    torn, leaked = _torn_labels(connection), _leaked(connection)
    sizes = _sizes(connection, table) if {"width", "height"} <= present else {}
    column = {
        "name": name,
        "type": "image",
        "missing": rows - filled,
        "unique": unique,
        "examples": [],
        "top_values": [],
    }
    facts = sizes | {"bytes": total or 0, "largest_bytes": most or 0, "leaked": leaked}
    return PictureFacts(column | sizes, filled - unique, torn, _warnings(facts), facts)


def _torn_labels(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    found = connection.execute(
        "SELECT min(file), list(DISTINCT label), count(*) FROM looked_at WHERE label IS NOT NULL"
        " AND digest IS NOT NULL GROUP BY digest HAVING count(DISTINCT label) > 1"
        f" ORDER BY 3 DESC, 1 LIMIT {SHOWN}"
    ).fetchall()
    return [
        {"text": file or "", "labels": sorted(labels)[:10], "count": times}
        for file, labels, times in found
    ]


def _leaked(connection: duckdb.DuckDBPyConnection) -> int:
    """Pictures that stand in more than one split."""
    found = _one(
        connection,
        "SELECT count(*) FROM (SELECT digest FROM looked_at WHERE split IS NOT NULL"
        " GROUP BY digest HAVING count(DISTINCT split) > 1)",
    )
    return int(found[0])


def _sizes(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
    names = ("smallest_side", "median_width", "median_height", "largest_side", "small")
    found = _one(
        connection,
        "SELECT min(least(width, height)), median(width)::BIGINT, median(height)::BIGINT,"
        f" max(greatest(width, height)), count(*) FILTER (least(width, height) < {SMALL_SIDE})"
        f" FROM {table}",
    )
    return dict(zip(names, found, strict=True))


def _warnings(facts: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    if facts["leaked"]:
        count = facts["leaked"]
        found.append(
            {
                "sentence": f"{count:,} pictures stand in more than one split.",
                "advice": "Training leaves them out of the earlier split, so scores stay honest.",
            }
        )
    if facts.get("small"):
        sentence = f"{facts['small']:,} pictures are smaller than {SMALL_SIDE} pixels."
        found.append({"sentence": sentence, "advice": "They are enlarged, which adds no detail."})
    return found


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return tuple(row)
