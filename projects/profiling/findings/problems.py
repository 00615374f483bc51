"""Finds problems of a table: constant and id-like columns, outliers, near duplicates, doubtful
labels. Each finding says why it matters and, where edits can fix it, offers them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import duckdb

from engine.data.multilabel_parsing import marks_places
from engine.tasks.generation.messages import ROLE_ALIASES
from projects.profiling import label_noise
from projects.profiling.column_roles import tags_words
from projects.profiling.findings.leaks import find_giveaways, find_straddling_texts
from projects.profiling.findings.markup import find_entities, find_tags
from projects.profiling.findings.missing_codes import find_missing_codes, find_missing_words
from projects.profiling.findings.nearly_numbers import find_nearly_numbers
from projects.profiling.findings.note_rows import find_note_rows
from projects.profiling.findings.placeholder_dates import find_placeholder_dates
from projects.profiling.findings.summary_rows import find_summary_rows
from projects.profiling.findings.written_quantities import find_written_quantities
from projects.profiling.profile import (
    ColumnProfile,
    DoubtfulLabel,
    Fix,
    ProfileWarning,
    Suggestion,
    suggested_targets,
)
from projects.reading.columns.sql import batched, quote_identifier
from projects.reading.fixes.operations import nearly_same_text
from projects.reading.results import Edit

MAX_COMPARED_ROWS = 50_000  # The first, whose texts are compared.
OUTLIER_SPREADS = 10  # Quartile ranges beyond the quartiles: far beyond what skew explains.
MIN_ROWS = 20
MAX_SHOWN_CHARS = 200
MAX_LISTED_COLUMNS = 5
COLUMNS_AT_ONCE = 50
SPEAKER_COLUMNS = frozenset({
    "role", "speaker", "sender", "from", "author", "角色", "发送者", "说话人",
})  # fmt: skip
SPEAKERS = frozenset({
    *ROLE_ALIASES, "customer", "agent", "client", "support", "visitor", "客服", "客户", "机器人",
    "顾客", "坐席",
})  # fmt: skip


def find_problems(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: list[ColumnProfile],
    suggested: Suggestion,
    rows: int,
) -> list[ProfileWarning]:
    """The findings about a table with these column profiles and this suggestion."""
    certain = [
        *find_summary_rows(connection, table, columns, rows),
        *find_entities(connection, table, columns),
        *find_tags(connection, table, columns),
        *find_placeholder_dates(connection, table, columns),
        *find_note_rows(connection, table, columns, rows),
        *find_nearly_numbers(connection, table, columns),
        *find_missing_words(connection, table, columns),
        *_marked_places(columns, suggested),
        *_turns_of_chats(columns),
    ]
    if rows < MIN_ROWS:
        return certain
    return [
        *certain,
        *_constant_columns(columns, suggested),
        *_id_columns(columns, suggested, rows),
        *find_missing_codes(connection, table, columns),
        *_outliers(connection, table, columns),
        *_near_duplicates(connection, table, suggested, rows),
        *find_straddling_texts(connection, table, suggested, rows),
        *find_giveaways(connection, table, columns, suggested, rows),
        *find_written_quantities(connection, table, columns),
    ]


def doubtful_labels(
    connection: duckdb.DuckDBPyConnection, table: str, suggested: Suggestion
) -> list[DoubtfulLabel]:
    """The rows that probably have a wrong label, among the first MAX_ROWS of a table of texts with
    one label each; [] for other tables."""
    texts, target = suggested["text_columns"], suggested["target_column"]
    if suggested["task"] != "text-classification" or not texts or target is None:
        return []
    label = f"trim({quote_identifier(target)}::VARCHAR)"
    text = f"concat_ws(chr(10), {', '.join(map(quote_identifier, texts))})"
    rows = connection.execute(
        f"SELECT {text}, {label} FROM {table} LIMIT {label_noise.MAX_ROWS}"
    ).fetchall()
    usable = [number for number, (text, label) in enumerate(rows) if text and label]
    doubts = label_noise.find_doubtful_labels(
        [rows[number][0] for number in usable], [rows[number][1] for number in usable]
    )
    return [
        {
            "row": usable[doubt.place],
            "text": rows[usable[doubt.place]][0][:MAX_SHOWN_CHARS],
            "label": doubt.label,
            "likely": doubt.likely,
            "confidence": round(doubt.confidence, 3),
        }
        for doubt in doubts
    ]


def doubtful_labels_warning(
    doubts: list[DoubtfulLabel], target: str, rows: int
) -> list[ProfileWarning]:
    """The finding about doubtful labels, with two fixes: relabel the rows, or leave them out."""
    if not doubts:
        return []
    first = doubts[0]
    what = "1 row is" if len(doubts) == 1 else f"{len(doubts)} rows are"
    where = ""
    if rows > label_noise.MAX_ROWS:
        where = f" Only the first {label_noise.MAX_ROWS:,} rows were looked at."
    relabel: list[Edit] = [
        {
            "op": "set_cells",
            "column": target,
            "rows": [doubt["row"] for doubt in doubts if doubt["likely"] == likely],
            "value": likely,
        }
        for likely in sorted({doubt["likely"] for doubt in doubts})
    ]
    return [
        {
            "code": "label_noise",
            "sentence": f"{what} probably labelled wrongly, such as row {first['row'] + 1:,}:"
            f" {first['label']!r} where the other rows speak for {first['likely']!r}.",
            "advice": "Each row was judged by a model of all the others. Look at them below first:"
            f" rare but right rows look like this too.{where}",
            "fix": {"title": "Relabel them", "edits": relabel},
            "other_fix": {
                "title": "Leave them out",
                "edits": [{"op": "drop_rows", "rows": [doubt["row"] for doubt in doubts]}],
            },
        }
    ]


def drop_columns(names: list[str]) -> Fix:
    """A fix that drops these columns."""
    listed = ", ".join(names[:MAX_LISTED_COLUMNS])
    return {
        "title": f"Drop {listed}",
        "edits": [{"op": "drop_column", "column": name} for name in names],
    }


def _turns_of_chats(columns: list[ColumnProfile]) -> list[ProfileWarning]:
    """A finding for a table with a row for each turn of a chat, which cannot be trained on."""
    for column in columns:
        speakers = {entry["value"].strip().casefold() for entry in column["top_values"]}
        is_speaker = column["name"].strip().casefold() in SPEAKER_COLUMNS
        if is_speaker and len(speakers) > 1 and speakers <= SPEAKERS:
            return [
                {
                    "code": "turns_of_chats",
                    "sentence": f"{column['name']} says who speaks, so each row is one turn of a"
                    " chat.",
                    "advice": "To teach a model to answer, put all turns of a chat into one row: a"
                    " column messages, as in OpenAI's files.",
                }
            ]
    return []


def _marked_places(columns: list[ColumnProfile], suggested: Suggestion) -> list[ProfileWarning]:
    """A finding for each column that labels words or places in a text, not the text."""
    advice = "Labels of places and words cannot be learnt here: give each text a label as a whole."
    sentences = [
        f"Cells of {column['name']} are labels of words, such as B-PER and O."
        for column in columns
        if tags_words(column)
    ]
    sentences += [
        f"Cells of {column['name']} mark places in a text, as for finding names."
        for column in columns
        if column["type"] == "json"
        and column["name"] not in suggested_targets(suggested)
        and marks_places(column["examples"])
    ]
    return [
        {"code": "marked_places", "sentence": sentence, "advice": advice} for sentence in sentences
    ]


def _constant_columns(columns: list[ColumnProfile], suggested: Suggestion) -> list[ProfileWarning]:
    """A finding for columns with one value. Not for text generation, where one instruction or
    system text may hold for all rows."""
    if suggested["task"] == "text-generation":
        return []
    used = {*suggested["text_columns"], *suggested_targets(suggested)}
    names = [
        column["name"]
        for column in columns
        if column["unique"] == 1 and not column["missing"] and column["name"] not in used
    ]
    if not names or len(names) == len(columns):
        return []
    listed = ", ".join(names[:MAX_LISTED_COLUMNS])
    verb = "says" if len(names) == 1 else "say"
    return [
        {
            "code": "constant_columns",
            "sentence": f"{listed} {verb} the same in every row.",
            "advice": "Nothing can be learnt from that. Leave it out.",
            "fix": drop_columns(names),
        }
    ]


def _id_columns(
    columns: list[ColumnProfile], suggested: Suggestion, rows: int
) -> list[ProfileWarning]:
    """A finding for columns that number or name the rows of a table of features."""
    if not suggested["task"].startswith("tabular"):
        return []
    names = [
        column["name"]
        for column in columns
        if column["unique"] == rows
        and not column["missing"]
        and column["type"] in ("integer", "text")
        and column["name"] != suggested["target_column"]
        and (column["type"] == "text" or _counts_rows(column, rows))
    ]
    if not names or len(names) == len(columns):
        return []
    listed = ", ".join(names[:MAX_LISTED_COLUMNS])
    verb = "has" if len(names) == 1 else "have"
    return [
        {
            "code": "id_columns",
            "sentence": f"{listed} {verb} a different value in every row.",
            "advice": "It names rows rather than describes them, so it misleads a model.",
            "fix": drop_columns(names),
        }
    ]


def _counts_rows(column: ColumnProfile, rows: int) -> bool:
    low, high = column.get("min"), column.get("max")
    return low is not None and high is not None and high - low == rows - 1


def _outliers(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column with numbers far from all others, such as typing errors and codes
    for missing values."""
    names = [
        column["name"]
        for column in columns
        if column["type"] in ("integer", "number") and column["unique"] > MIN_ROWS
    ]
    warnings: list[ProfileWarning] = []
    # Many columns in one query, as each query reads the position of every column in the file.
    for group in batched(names, COLUMNS_AT_ONCE):
        for name, found in _find_outliers(connection, table, group).items():
            what = "1 cell is" if found.count == 1 else f"{found.count:,} cells are"
            ends: Edit = {"column": name, "low": found.low, "high": found.high}
            warnings.append(
                {
                    "code": "outliers",
                    "sentence": f"{what} far from all others in {name}, such as"
                    f" {found.example:,g}.",
                    "advice": "Is it a slip of the decimal mark, or a word for missing? Look at"
                    " them: sort the rows by this column. A few such cells pull a model more than"
                    " all others.",
                    "fix": {"title": "Drop their rows", "edits": [{**ends, "op": "drop_outside"}]},
                    "other_fix": {
                        "title": f"Bring them into {found.low:,g} to {found.high:,g}",
                        "edits": [{**ends, "op": "clip"}],
                    },
                }
            )
    return warnings


@dataclass(frozen=True)
class _Outliers:
    """How many cells of a column are beyond `low` and `high`, and the farthest of them."""

    count: int
    example: float
    low: float
    high: float


def _find_outliers(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]
) -> dict[str, _Outliers]:
    """The cells that are more than OUTLIER_SPREADS quartile ranges beyond the quartiles, of each
    column that has some."""
    cells = {name: f"{quote_identifier(name)}::DOUBLE" for name in names}
    quartiles = ", ".join(
        f"quantile_cont({cell}, [0.25, 0.75]) FILTER (isfinite({cell}))" for cell in cells.values()
    )
    row = connection.execute(f"SELECT {quartiles} FROM {table}").fetchone()
    pairs = zip(names, cast(tuple[list[float] | None, ...], row), strict=True)
    spread = {name: ends for name, ends in pairs if ends and ends[1] > ends[0]}
    measures: list[str] = []
    ends: list[tuple[float, float]] = []
    bound: list[float] = []  # As literals in the query they would be DECIMAL and overflow.
    for name, (low, high) in spread.items():
        # Halves, as the whole width of two doubles may be no double.
        distance = f"abs({cells[name]} / 2 - ?)"
        middle, far_away = low / 4 + high / 4, (OUTLIER_SPREADS + 0.5) * (high / 2 - low / 2)
        far = f"isfinite({cells[name]}) AND {distance} > ?"
        ends.append((2 * (middle - far_away), 2 * (middle + far_away)))
        measures += [
            f"count(*) FILTER ({far})",
            f"max_by({cells[name]}, {distance}) FILTER ({far})",
        ]
        bound += [middle, far_away, middle, middle, far_away]
    if not measures:
        return {}
    row = connection.execute(f"SELECT {', '.join(measures)} FROM {table}", bound).fetchone()
    values = cast(tuple[Any, ...], row)
    measured = zip(spread, values[::2], values[1::2], ends, strict=True)
    return {
        name: _Outliers(count, example, *end) for name, count, example, end in measured if count
    }


def _near_duplicates(
    connection: duckdb.DuckDBPyConnection, table: str, suggested: Suggestion, rows: int
) -> list[ProfileWarning]:
    """A finding for texts that differ only in case, blanks and punctuation."""
    texts = suggested["text_columns"]
    if not suggested["task"].startswith("text") or not texts:
        return []
    joined = ", ".join(f"{quote_identifier(name)}::VARCHAR" for name in texts)
    text, plain = f"concat_ws(' ', {joined})", nearly_same_text(texts)
    compared = f"(FROM {table} LIMIT {MAX_COMPARED_ROWS})"
    # Hashes first: whole texts are only grouped where two of them look the same.
    suspects = connection.execute(
        f"SELECT plain FROM (SELECT hash({plain}) AS plain, hash({text}) AS text FROM {compared})"
        " GROUP BY 1 HAVING min(text) <> max(text)"
    ).fetchall()
    if not suspects:
        return []
    row = connection.execute(
        "SELECT coalesce(sum(different - 1), 0), any_value(example) FILTER (different > 1) FROM"
        f" (SELECT {plain} AS plain, count(DISTINCT hash({text})) AS different,"
        f" min({text}) AS example FROM {compared}"
        f" WHERE hash({plain}) IN (SELECT unnest(?::UBIGINT[])) GROUP BY 1)"
        " WHERE different > 1 AND plain <> ''",
        [[suspect for (suspect,) in suspects]],
    ).fetchone()
    count, example = cast(tuple[int, str | None], row)
    if not count or example is None:
        return []
    what = "1 text is" if count == 1 else f"{count:,} texts are"
    where = f" Only the first {MAX_COMPARED_ROWS:,} rows were compared here."
    return [
        {
            "code": "near_duplicates",
            "sentence": f"{what} nearly the same as another, such as {example[:80]!r}.",
            "advice": "They differ only in case, blanks or punctuation. A split keeps them on one"
            f" side.{where if rows > MAX_COMPARED_ROWS else ''}",
            "fix": {
                "title": "Keep one of each",
                "edits": [{"op": "drop_near_duplicates", "columns": texts}],
            },
        }
    ]
