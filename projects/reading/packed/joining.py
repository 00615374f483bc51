"""Joins tables of one archive that have the same columns into one table. A new column says which
file, or which split, each row is from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from projects.reading.arrow import convert_to_parquet
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.packed.zip_tables import PackedTable
from projects.reading.parquet import HUGGING_FACE
from projects.reading.results import Issues, RejectedRow, TableSource

SPLIT_COLUMN, FILE_COLUMN = "split", "file"
TEXT_TYPES = ("text", "json", "string")
Origins = list[str]  # The new column's value for each file.


def name_origins(tables: Sequence[PackedTable], names: Sequence[str]) -> tuple[str, Origins]:
    """The new column's name, and what it says of each table; an empty name where the tables have
    such a column of their own."""
    splits = [table.split for table in tables]
    if all(splits) and len(set(splits)) > 1 and SPLIT_COLUMN not in names:
        return SPLIT_COLUMN, splits
    return ("" if FILE_COLUMN in names else FILE_COLUMN), [table.name for table in tables]


def join_sources(
    sources: Sequence[TableSource], tables: Sequence[PackedTable], issues: Issues
) -> TableSource:
    """The rows of all sources, one after the other, in the first one's order of columns."""
    first = sources[0]
    column, origins = name_origins(tables, first.names)
    orders = [_order_like(source.names, first.names) for source in sources]
    pairs = list(zip(sources, orders, strict=True))
    native = {
        place: _common_type([source.native_types.get(order[place], "") for source, order in pairs])
        for place in range(len(first.names))
    }
    return TableSource(
        names=[*first.names, column] if column else list(first.names),
        rows=_chain_rows(sources, orders, tables, origins if column else None, issues),
        dialect=first.dialect,
        issues=issues,
        native_types={place: kind for place, kind in native.items() if kind},
        questions=first.questions,
    )


def join_parquet(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[PackedTable], target: Path
) -> None:
    """Join Parquet and Arrow files into one Parquet file, `target`. Raises duckdb.Error."""
    paths = [_as_parquet(table) for table in tables]
    column, origins = name_origins(tables, pq.read_schema(paths[0]).names)
    union = " UNION ALL BY NAME ".join(
        f"SELECT *{f', {quote_literal(origin)} AS {quote_identifier(column)}' if column else ''}"
        f" FROM read_parquet({quote_literal(str(path))})"
        for path, origin in zip(paths, origins, strict=True)
    )
    options = ["FORMAT parquet"]
    if noted := (pq.read_schema(paths[0]).metadata or {}).get(HUGGING_FACE):  # Names of labels.
        options.append("KV_METADATA {huggingface: " + quote_literal(noted.decode()) + "}")
    connection.execute(f"COPY ({union}) TO {quote_literal(str(target))} ({', '.join(options)})")


def _as_parquet(table: PackedTable) -> Path:
    with open(table.path, "rb") as file:
        if file.read(4) == b"PAR1":
            return table.path
    converted = table.path.with_suffix(".parquet")
    convert_to_parquet(table.path, converted)
    return converted


def _order_like(names: Sequence[str], target_names: Sequence[str]) -> list[int]:
    """For each of `target_names`, its position in `names`; the same position where names repeat."""
    own, target = ([name.strip() for name in group] for group in (names, target_names))
    if own == target or len(set(own)) < len(own):
        return list(range(len(target)))
    return [own.index(name) for name in target]


def _common_type(kinds: Sequence[str]) -> str:
    """The type that all files have; text where any has text; else "", to infer it from cells."""
    if len(set(kinds)) == 1:
        return kinds[0]
    return "text" if set(kinds) & set(TEXT_TYPES) else ""


def _chain_rows(
    sources: Sequence[TableSource],
    orders: Sequence[list[int]],
    tables: Sequence[PackedTable],
    origins: Origins | None,
    issues: Issues,
) -> Iterator["list[str | None] | RejectedRow"]:
    for number, (source, order, table) in enumerate(zip(sources, orders, tables, strict=True)):
        last: list[str | None] = [origins[number]] if origins else []
        is_same = order == list(range(len(order)))
        for row in source.rows:
            if isinstance(row, RejectedRow):
                yield replace(row, reason=f"{table.name}: {row.reason}")
            elif is_same:
                yield row + last
            else:
                yield [row[place] for place in order] + last
        for issue in source.issues.entries:
            issues.add(issue["code"], issue["sentence"], issue["line"], issue["column"])
