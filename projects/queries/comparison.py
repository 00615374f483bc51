"""Compares two versions of a dataset row by row, in DuckDB, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from django.shortcuts import get_object_or_404

from projects import storage
from projects.errors import BadRowQuery
from projects.models import DatasetVersion
from projects.queries.rows import connect
from projects.reading.columns.sql import quote_identifier, quote_literal
from web.validation.values import parse_digits

PAGE_SIZE = 50
MAX_CELL_CHARS = 300
Change = Literal["changed", "added", "removed"]


@dataclass(frozen=True)
class CellChange:
    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RowChange:
    """`number` is the row's in the newer version, of a removed one in the older; both from 0."""

    change: Change
    number: int
    cells: list[CellChange]  # The changed ones; of a row added or removed, all of them.


@dataclass(frozen=True)
class Comparison:
    """`matched_by`: "row" (its number), "content", or the column that names rows."""

    matched_by: str
    columns_added: list[str]
    columns_removed: list[str]
    counts: dict[Change, int]
    rows: list[RowChange]
    page: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))


def compare_versions(
    older: DatasetVersion, newer: DatasetVersion, *, key: str = "", page: int = 1
) -> Comparison:
    """What changed from one ready version to another.

    Rows are matched by `key`, a column that both have; without it by their numbers where there are
    as many rows, else by their whole content. Raises BadRowQuery for an unknown key or page.
    """
    names = [column["name"] for column in newer.columns]
    before = [column["name"] for column in older.columns]
    common = [name for name in names if name in before]
    if key and key not in common:
        raise BadRowQuery(f"Not both versions have a column {key!r}.", param="key")
    if not 1 <= page <= 10**9:
        raise BadRowQuery("There is no such page.", param="page")
    matched_by = key or ("row" if older.rows == newer.rows else "content")
    with (
        storage.local_file(older.parquet_key) as old,
        storage.local_file(newer.parquet_key) as new,
        connect() as connection,
    ):
        joined = _joined(old, new, _comparable(older, newer, common), key, matched_by)
        totals = connection.execute(f"SELECT change, count(*) FROM ({joined}) GROUP BY 1")
        counted = dict(totals.fetchall())
        rows = connection.execute(
            f"SELECT * FROM ({joined}) ORDER BY number, change LIMIT {PAGE_SIZE}"
            f" OFFSET {(page - 1) * PAGE_SIZE}"
        ).fetchall()
    return Comparison(
        matched_by=matched_by,
        columns_added=[name for name in names if name not in before],
        columns_removed=[name for name in before if name not in names],
        counts={
            "changed": counted.get("changed", 0),
            "added": counted.get("added", 0),
            "removed": counted.get("removed", 0),
        },
        rows=[_row_change(row, common) for row in rows],
        page=page,
    )


def find_versions_to_compare(
    viewer: object, dataset_id: UUID, older_number: str, newer_number: str
) -> tuple[DatasetVersion, DatasetVersion]:
    """The ready versions with these numbers. Where the newer is not named, the newest; where the
    older is not, the one before the newer. Raises Http404 for strangers, too."""
    visible = DatasetVersion.objects.visible_to(viewer).filter(dataset=dataset_id).ready()
    visible = visible.select_related("dataset__project__team").order_by("-number")

    def find(text: str, **otherwise: int) -> DatasetVersion:
        number = parse_digits(text, 8)
        wanted = visible.filter(**otherwise) if number is None else visible.filter(number=number)
        return get_object_or_404(wanted[:1])

    newer = find(newer_number)
    return find(older_number, number__lt=newer.number), newer


def _comparable(
    older: DatasetVersion, newer: DatasetVersion, common: Sequence[str]
) -> dict[str, str]:
    """SQL of the values of each common column, by its name. Where one version read the column as
    text and the other as numbers, it is such that "102.0" and 102 are equal."""
    before = {column["name"]: column["type"] for column in older.columns}
    after = {column["name"]: column["type"] for column in newer.columns}
    columns = {}
    for name in common:
        source = columns[name] = quote_identifier(name)
        if before[name] != after[name]:
            text = f"{source}::VARCHAR"
            is_numeric = {before[name], after[name]} & {"number", "integer"}
            number = f"coalesce(try_cast({text} AS DOUBLE)::VARCHAR, {text})"
            columns[name] = number if is_numeric else text
    return columns


def _joined(old: Path, new: Path, values: dict[str, str], key: str, matched_by: str) -> str:
    """SQL of the rows that differ: (change, number, each common column before and after). `values`
    is SQL by the names of the columns."""
    common = list(values)
    cells = ", ".join(
        f'left(({value})::VARCHAR, {MAX_CELL_CHARS}) AS "{place}"'
        for place, value in enumerate(values.values())
    )
    columns = ", ".join(values.values()) or "1"
    match = {"row": "file_row_number", "content": f"hash({columns})"}.get(matched_by)
    if key:
        match = f"coalesce({quote_identifier(key)}::VARCHAR, '')"

    def side(path: Path) -> str:
        # Equal rows are numbered, so that each is matched with one row of the other version.
        return (
            f"(SELECT file_row_number AS number, {match} AS match,"
            f" row_number() OVER (PARTITION BY {match} ORDER BY file_row_number) AS which,"
            f" hash({columns}) AS content, {cells or '1'}"
            f" FROM read_parquet({quote_literal(str(path))}, file_row_number = true))"
        )

    pairs = "".join(f', older."{place}", newer."{place}"' for place in range(len(common)))
    return (
        "SELECT CASE WHEN older.number IS NULL THEN 'added' WHEN newer.number IS NULL THEN"
        " 'removed' ELSE 'changed' END AS change, coalesce(newer.number, older.number) AS number"
        f"{pairs} FROM {side(old)} older FULL OUTER JOIN {side(new)} newer"
        " ON older.match = newer.match AND older.which = newer.which"
        " WHERE older.content IS DISTINCT FROM newer.content"
    )


def _row_change(row: tuple[object, ...], common: list[str]) -> RowChange:
    change, number, *values = row
    pairs = zip(common, values[::2], values[1::2], strict=True)
    cells = [
        CellChange(name, _as_text(before), _as_text(after))
        for name, before, after in pairs
        if change != "changed" or before != after
    ]
    assert change in ("changed", "added", "removed")
    assert isinstance(number, int)
    return RowChange(change, number, cells)


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)
