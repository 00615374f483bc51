"""Profiles a column of images: sizes, duplicates, and images that are in two splits."""

from dataclasses import dataclass
from typing import cast

import duckdb

from projects.profiling.findings.near_pictures import find_near_pictures
from projects.profiling.profile import (
    ColumnProfile,
    ConflictingLabels,
    ImageSizes,
    ImageStatistics,
    ProfileWarning,
)
from projects.reading.columns.column import ColumnInfo
from projects.reading.columns.sql import quote_identifier

MAX_LISTED_CONFLICTS = 50
MIN_SIDE_PIXELS = 64


@dataclass(frozen=True)
class ImageProfile:
    column: ColumnProfile
    duplicates: int
    conflicting_labels: list[ConflictingLabels]
    warnings: list[ProfileWarning]
    statistics: ImageStatistics


def profile_images(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[ColumnInfo]
) -> ImageProfile:
    """The profile of the table's column of images, which are compared by SHA-256 of their bytes."""
    name = next(column["name"] for column in columns if column["type"] == "image")
    present = {column["name"] for column in columns}
    texts = {
        role: f"{quote_identifier(role)}::VARCHAR" if role in present else "NULL::VARCHAR"
        for role in ("label", "split", "file")
    }
    connection.execute(
        f"CREATE TEMP TABLE images AS SELECT sha256({quote_identifier(name)}) AS digest,"
        f" octet_length({quote_identifier(name)}) AS bytes,"
        f" {', '.join(f'{sql} AS {role}' for role, sql in texts.items())} FROM {table}"
    )
    rows, filled, unique, largest, total = cast(
        tuple[int, int, int, int | None, int | None],
        fetch_row(
            connection,
            "SELECT count(*), count(digest), count(DISTINCT digest), max(bytes), sum(bytes)"
            " FROM images",
        ),
    )
    sizes = _size_stats(connection, table) if {"width", "height"} <= present else ImageSizes()
    counts = {"bytes": total or 0, "largest_bytes": largest or 0}
    statistics = cast(ImageStatistics, {**sizes, **counts, "leaked": _count_leaked(connection)})
    column: ColumnProfile = {
        "name": name,
        "type": "image",
        "missing": rows - filled,
        "unique": unique,
        "examples": [],
        "top_values": [],
    }
    column.update(cast(ColumnProfile, sizes))
    return ImageProfile(
        column=column,
        duplicates=filled - unique,
        conflicting_labels=_find_conflicting_labels(connection),
        warnings=[
            *_warnings(statistics),
            *find_near_pictures(connection, table, name, present),
        ],
        statistics=statistics,
    )


def fetch_row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[object, ...]:
    """The row of a query that always returns one."""
    row = connection.execute(sql).fetchone()
    assert row is not None
    return tuple(row)


def _find_conflicting_labels(connection: duckdb.DuckDBPyConnection) -> list[ConflictingLabels]:
    rows = connection.execute(
        "SELECT min(file), list(DISTINCT label), count(*) FROM images WHERE label IS NOT NULL"
        " AND digest IS NOT NULL GROUP BY digest HAVING count(DISTINCT label) > 1"
        f" ORDER BY 3 DESC, 1 LIMIT {MAX_LISTED_CONFLICTS}"
    ).fetchall()
    return [
        {"text": file or "", "labels": sorted(labels)[:10], "count": times}
        for file, labels, times in rows
    ]


def _count_leaked(connection: duckdb.DuckDBPyConnection) -> int:
    """Images that are in more than one split."""
    row = fetch_row(
        connection,
        "SELECT count(*) FROM (SELECT digest FROM images WHERE split IS NOT NULL"
        " GROUP BY digest HAVING count(DISTINCT split) > 1)",
    )
    return cast(int, row[0])


def _size_stats(connection: duckdb.DuckDBPyConnection, table: str) -> ImageSizes:
    smallest, width, height, largest, small = cast(
        tuple[int, int, int, int, int],
        fetch_row(
            connection,
            "SELECT min(least(width, height)), median(width)::BIGINT, median(height)::BIGINT,"
            " max(greatest(width, height)),"
            f" count(*) FILTER (least(width, height) < {MIN_SIDE_PIXELS}) FROM {table}",
        ),
    )
    return {
        "smallest_side": smallest,
        "median_width": width,
        "median_height": height,
        "largest_side": largest,
        "small": small,
    }


def _warnings(statistics: ImageStatistics) -> list[ProfileWarning]:
    warnings: list[ProfileWarning] = []
    if leaked := statistics["leaked"]:
        warnings.append(
            {
                "sentence": "1 picture stands in more than one split."
                if leaked == 1
                else f"{leaked:,} pictures stand in more than one split.",
                "advice": "Training leaves them out of the earlier split, so scores stay honest.",
            }
        )
    if small := statistics.get("small"):
        sentence = (
            f"{'1 picture is' if small == 1 else f'{small:,} pictures are'} smaller than"
            f" {MIN_SIDE_PIXELS} pixels."
        )
        advice = "Small ones are enlarged, which adds no detail."
        warnings.append({"sentence": sentence, "advice": advice})
    return warnings
