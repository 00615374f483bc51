"""Profiles a finished table: its columns, duplicates and classes, and warnings about them.

DuckDB reads the Parquet file; no Django and no database are needed.
"""

from pathlib import Path
from typing import cast

import duckdb

from engine.tasks.inspection import Inspection
from projects.profiling.column_profile import profile_columns, truncate
from projects.profiling.findings.classes import find_class_problems
from projects.profiling.findings.problems import (
    doubtful_labels,
    doubtful_labels_warning,
    drop_columns,
    find_problems,
)
from projects.profiling.generation_columns import mark_chats
from projects.profiling.image_profile import fetch_row, profile_images
from projects.profiling.language import detect_language
from projects.profiling.learnability import LearnabilityProbe
from projects.profiling.profile import (
    ClassShare,
    ColumnProfile,
    ConflictingLabels,
    ProfileWarning,
    StoredInspection,
    Suggestion,
    TableProfile,
)
from projects.profiling.schema_inference import propose_mappings
from projects.profiling.training_data import (
    count_cell_labels,
    inspect_suggestion,
    read_inspection,
)
from projects.reading.columns.column import ColumnInfo
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.personal_data import find_personal_data
from projects.reading.results import Edit

MAX_LISTED_CLASSES = 100
MAX_CONFLICTS = 50
LANGUAGE_ROWS = 200  # Of each column of texts; the first ones tell its language.
MIN_SAMPLE_ROWS, MAX_SAMPLE_ROWS, MAX_SAMPLE_CELLS = 1_200, 10_000, 1_000_000
MAX_COMPARED_CELLS = 50_000_000  # Above it repeated rows are not counted.


def profile_table(
    connection: duckdb.DuckDBPyConnection, data: Path, columns: list[ColumnInfo]
) -> TableProfile:
    """The profile of a Parquet file with these columns."""
    table = f"read_parquet({quote_literal(str(data))})"
    rows = cast(int, fetch_row(connection, f"SELECT count(*) FROM {table}")[0])
    if any(column["type"] == "image" for column in columns):
        return _profile_image_table(connection, data, columns, rows)
    sample, sample_rows = _take_sample(connection, table, columns, rows)
    profiles = _profile_columns(connection, table, columns, rows, sample)
    probe = LearnabilityProbe(connection, sample, sample_rows)
    suggested, *others = propose_mappings(profiles, rows, probe)
    _add_languages(connection, table, profiles, [suggested, *others])
    inspection = inspect_suggestion(data, suggested)
    texts = suggested["text_columns"]
    target = suggested["target_column"] if suggested["task"].endswith("classification") else None
    profile: TableProfile = {
        "rows": rows,
        "columns": profiles,
        "duplicates": _count_duplicates(connection, table, rows, profiles),
        "suggested": suggested,
        "proposals": [suggested, *others],
        "class_balance": _class_balance(connection, table, target, inspection),
        "label_noise_candidates": _find_conflicting_labels(connection, table, texts, target)
        if texts and target
        else [],
        "personal_data": find_personal_data(connection, table, columns),
        "warnings": [],
    }
    if inspection is not None:
        profile["inspection"] = inspection
    inspected = read_inspection(inspection)
    is_label = inspected is None or inspected.kind == "label"
    doubts = doubtful_labels(connection, table, suggested) if is_label else []
    if doubts:
        profile["doubtful_labels"] = doubts
    profile["warnings"] = [
        *_warnings(profile),
        *doubtful_labels_warning(doubts, target or "", rows),
        *find_problems(connection, table, profiles, suggested, rows),
    ]
    return profile


def _take_sample(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[ColumnInfo], rows: int
) -> tuple[str, int]:
    """A temporary table of some thousand rows, evenly spread, and its number of rows; the table
    itself where it is short. Used for patterns of texts and for skill, not for counts."""
    size = max(MIN_SAMPLE_ROWS, min(MAX_SAMPLE_ROWS, MAX_SAMPLE_CELLS // len(columns)))
    step = -(-rows // size)
    if step < 2:
        return table, rows
    names = ", ".join(quote_identifier(column["name"]) for column in columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE sampled_rows AS SELECT {names} FROM {table}"
        f" QUALIFY row_number() OVER () % {step} = 0"
    )
    return "sampled_rows", rows // step


def _profile_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: list[ColumnInfo],
    rows: int,
    sample: str,
) -> list[ColumnProfile]:
    """The columns' profiles, with `cell_labels` of columns whose cells are lists of labels."""
    profiles = profile_columns(connection, table, columns, rows, sample)
    labels = count_cell_labels(connection, table, profiles)
    for column in profiles:
        if column["name"] in labels:
            column["cell_labels"] = labels[column["name"]]
    mark_chats(connection, table, profiles)
    return profiles


def _profile_image_table(
    connection: duckdb.DuckDBPyConnection, data: Path, columns: list[ColumnInfo], rows: int
) -> TableProfile:
    """The profile of a table with a column of images. File names are not searched for personal
    data."""
    table = f"read_parquet({quote_literal(str(data))})"
    images = profile_images(connection, table, columns)
    others = [column for column in columns if column["name"] != images.column["name"]]
    profile_of = {
        profile["name"]: profile for profile in profile_columns(connection, table, others, rows)
    }
    profiles = [profile_of.get(column["name"], images.column) for column in columns]
    suggested = propose_mappings(profiles, rows)[0]
    inspection = inspect_suggestion(data, suggested)
    profile: TableProfile = {
        "rows": rows,
        "columns": profiles,
        "duplicates": images.duplicates,
        "suggested": suggested,
        "class_balance": _class_balance(connection, table, suggested["target_column"], inspection),
        "label_noise_candidates": images.conflicting_labels,
        "personal_data": [],
        "warnings": [],
        "pictures": images.statistics,
    }
    if inspection is not None:
        profile["inspection"] = inspection
    profile["warnings"] = [*images.warnings, *_warnings(profile)]
    return profile


def _add_languages(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: list[ColumnProfile],
    proposals: list[Suggestion],
) -> None:
    """Add the language of each column that a proposal reads as text."""
    texts = {name for proposal in proposals for name in proposal["text_columns"]}
    for column in columns:
        if column["name"] in texts and column["type"] == "text":
            name = quote_identifier(column["name"])
            cells = connection.execute(
                f"SELECT left({name}, 400) FROM {table} WHERE {name} IS NOT NULL"
                f" LIMIT {LANGUAGE_ROWS}"
            ).fetchall()
            column["language"] = detect_language(cell for (cell,) in cells)


def _count_duplicates(
    connection: duckdb.DuckDBPyConnection, table: str, rows: int, columns: list[ColumnProfile]
) -> int | None:
    """How many rows repeat an earlier one entirely; None where the table is too large to compare.

    Rows are compared by hashes of 64 bits: among a million different rows, two have the same hash
    with a probability of one in 37 million.
    """
    if any(column["unique"] == rows and not column.get("unique_is_estimate") for column in columns):
        return 0  # A column that differs in every row, such as an id.
    if rows * len(columns) > MAX_COMPARED_CELLS:
        return None
    names = ", ".join(quote_identifier(column["name"]) for column in columns)
    distinct = fetch_row(connection, f"SELECT count(DISTINCT hash({names})) FROM {table}")[0]
    return rows - cast(int, distinct)


def _class_balance(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    target: str | None,
    stored: StoredInspection | None,
) -> list[ClassShare]:
    """The labels that training would learn, with their number of rows. Without an inspection (of a
    large table, or of a target that training refuses), the column's trimmed values."""
    inspection = read_inspection(stored)
    rows: list[tuple[str, int]] = []
    if inspection is not None and inspection.labels:
        rows = [(entry.label, entry.count) for entry in inspection.labels[:MAX_LISTED_CLASSES]]
    elif target is not None:
        name = f"nullif(trim({quote_identifier(target)}::VARCHAR), '')"
        rows = connection.execute(
            f"SELECT {name}, count(*) FROM {table} WHERE {name} IS NOT NULL"
            f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_LISTED_CLASSES}"
        ).fetchall()
    most = max((times for _, times in rows), default=1)
    return [
        {"label": truncate(label), "count": times, "share_of_largest": round(times / most, 4)}
        for label, times in rows
    ]


def _find_conflicting_labels(
    connection: duckdb.DuckDBPyConnection, table: str, texts: list[str], target: str
) -> list[ConflictingLabels]:
    """The same text under different labels: at least one of them is wrong."""
    name = f"nullif(trim({quote_identifier(target)}::VARCHAR), '')"
    joined = quote_identifier(texts[0])
    if len(texts) > 1:
        joined = f"concat_ws(chr(10), {', '.join(map(quote_identifier, texts))})"
    # Few texts have blanks around them, and trimming all texts is what costs most.
    has_blanks = f"starts_with({joined}, ' ') OR ends_with({joined}, ' ')"
    text = f"lower(CASE WHEN {has_blanks} THEN trim({joined}) ELSE {joined} END)"
    usable = f"{name} IS NOT NULL AND {text} <> ''"
    # By hashes first: whole texts are only compared where two hashes are equal.
    suspects = connection.execute(
        f"SELECT text FROM (SELECT hash(nullif({text}, '')) AS text, hash({name}) AS label"
        f" FROM {table} WHERE {name} IS NOT NULL)"
        " GROUP BY 1 HAVING min(label) <> max(label)"
        f" ORDER BY count(*) DESC, 1 LIMIT {MAX_CONFLICTS + 1}"
    ).fetchall()
    if not suspects:
        return []
    listed = ", ".join(str(suspect) for (suspect,) in suspects)
    rows = connection.execute(
        f"SELECT {text}, list(DISTINCT {name}), count(*) FROM {table}"
        f" WHERE {usable} AND hash({text}) IN ({listed})"
        f" GROUP BY 1 HAVING count(DISTINCT {name}) > 1 ORDER BY 3 DESC, 1"
    ).fetchall()
    return [
        {"text": truncate(text), "labels": sorted(map(truncate, labels))[:10], "count": times}
        for text, labels, times in rows
    ]


def _warnings(profile: TableProfile) -> list[ProfileWarning]:
    inspection = read_inspection(profile.get("inspection"))
    types = {column["name"]: column["type"] for column in profile["columns"]}
    warnings = [
        *_inspection_warnings(inspection),
        *_row_warnings(profile),
        *find_class_problems(
            profile["class_balance"],
            profile["suggested"]["target_column"],
            types,
            is_single=inspection is None or inspection.kind == "label",
        ),
    ]
    for column in profile["columns"]:
        share = column["missing"] / profile["rows"]
        if share == 1:
            warning = _warning(f"Column {column['name']} is empty.", "Leave it out.")
            if len(profile["columns"]) > 1:
                warning["fix"] = drop_columns([column["name"]])
            warnings.append(warning)
        elif share > 0.2:
            warnings.append(_missing_warning(profile, column["name"], share))
    if profile["personal_data"]:
        kinds = ", ".join(sorted({finding["kind"] for finding in profile["personal_data"]}))
        advice = "A model can repeat what it has seen. Mask these columns before training."
        warnings.append(_warning(f"There is personal data: {kinds}.", advice))
    return warnings


def _missing_warning(profile: TableProfile, name: str, share: float) -> ProfileWarning:
    sentence = f"{share:.0%} of column {name} is missing."
    warning = _warning(sentence, "Check the export, or leave the column out.")
    if name == profile["suggested"]["target_column"]:
        edits: list[Edit] = [{"op": "drop_missing", "column": name}]
        warning["advice"] = "Check the export: rows without it are not learnt."
        warning["fix"] = {"title": f"Drop rows without {name}", "edits": edits}
    elif len(profile["columns"]) > 1:
        warning["fix"] = drop_columns([name])
    return warning


def _inspection_warnings(inspection: Inspection | None) -> list[ProfileWarning]:
    """A warning where training with the suggested columns would be refused."""
    if inspection is None or inspection.refusal is None:
        return []
    advice = "Training with the suggested columns would be refused. Mend it, or choose others."
    return [_warning(inspection.refusal.sentence, advice)]


def _row_warnings(profile: TableProfile) -> list[ProfileWarning]:
    warnings = []
    rows, duplicates = profile["rows"], profile["duplicates"]
    if rows < 100:
        advice = "Expect a rough model. A few hundred rows, or 20 for each label, work better."
        warnings.append(
            _warning(
                "There is only 1 row." if rows == 1 else f"There are only {rows} rows.", advice
            )
        )
    if duplicates:
        advice = "Repeats are kept on one side of the test split, so scores stay honest."
        sentence = f"{duplicates:,} rows repeat another row."
        if duplicates == 1:
            sentence = "1 row repeats another row."
        warning = _warning(sentence, advice)
        repeated: Edit = {"op": "drop_duplicates"}
        picture = profile["suggested"].get("image_column")
        if picture:  # Files with other names may hold the same picture.
            repeated["column"] = picture
        has_all = not any(one["missing"] for one in profile["columns"] if one["name"] == picture)
        if has_all:
            warning["fix"] = {"title": "Drop the repeats", "edits": [repeated]}
        warnings.append(warning)
    if count := len(profile["label_noise_candidates"]):
        advice = "Decide on one label for each text; they are listed below."
        sentence = f"{count} texts come with more than one label."
        if count == 1:
            sentence = "1 text comes with more than one label."
        if "pictures" in profile:
            advice = "Decide on one label for each picture; they are listed below."
            sentence = f"{count} pictures come with more than one label."
            if count == 1:
                sentence = "1 picture comes with more than one label."
        warnings.append(_conflict_warning(profile, sentence, advice))
    return warnings


def _conflict_warning(profile: TableProfile, sentence: str, advice: str) -> ProfileWarning:
    """The finding about equal texts with different labels, with two fixes; of pictures without."""
    warning: ProfileWarning = {**_warning(sentence, advice), "code": "conflicting_labels"}
    target = profile["suggested"]["target_column"]
    if "pictures" not in profile and target is not None:
        edit: Edit = {"column": target, "columns": profile["suggested"]["text_columns"]}
        keep: list[Edit] = [{**edit, "op": "keep_majority"}]
        drop: list[Edit] = [{**edit, "op": "drop_conflicts"}]
        warning["fix"] = {"title": "Keep the label of most", "edits": keep}
        warning["other_fix"] = {"title": "Leave these texts out", "edits": drop}
    return warning


def _warning(sentence: str, advice: str) -> ProfileWarning:
    return {"sentence": sentence, "advice": advice}
