"""Reads a version's file in another way; what was done to its table stays where it still holds."""

from collections.abc import Mapping
from itertools import takewhile
from typing import cast

from accounts.models import ApiToken, User
from projects.errors import EditsWouldBeLost, UnknownReading
from projects.importing.uploads import reimport
from projects.models import DatasetVersion
from projects.reading.columns.column import parse_reading
from projects.reading.edits import named_columns
from projects.reading.results import ReadingOptions

DONE_TO_THE_TABLE = {"mask", "columns", "edits", "based_on"}  # The other options read the file.
KEEPS_NAMES = {"encoding", "quote", "escape", "short_rows"}  # Others may give other columns.
ROW_EDITS = ("set_cells", "drop_rows")  # They name rows by their number.


def read_another_way(
    version: DatasetVersion,
    reading: ReadingOptions,
    by: User | ApiToken,
    *,
    columns: Mapping[str, str] | None = None,
    discards_edits: bool = False,
) -> DatasetVersion:
    """A new version of the same file with these options of reading it, instead of the version's
    own. Masking stays, edits and chosen readings of columns stay where they still hold; `columns`
    are further readings of columns.

    Raises EditsWouldBeLost, unless `discards_edits`, where not all of them do, and UnknownReading
    for readings of columns that get other names.
    """
    overrides = version.overrides.items()
    done = cast(ReadingOptions, {key: one for key, one in overrides if key in DONE_TO_THE_TABLE})
    changed = _changed_options(version, reading)
    # An encoding changes the names that it spells.
    has_same_names = changed <= KEEPS_NAMES and all(map(str.isascii, named_columns(done)))
    may_rename = bool(changed) and not has_same_names
    kept = cast(ReadingOptions, dict(done))
    if may_rename and columns:
        raise UnknownReading(
            "The columns may get other names when the file is read in this way. Choose that first,"
            " and the readings of columns in its new version.",
            param="columns",
        )
    if may_rename:
        kept.pop("columns", None)
    if changed:
        # Rows may have other numbers; an edit after such a one may rest on it.
        edits = takewhile(lambda edit: edit["op"] not in ROW_EDITS, done.get("edits", []))
        kept["edits"] = [] if may_rename else [*edits]
    if version.failure_code == "bad_edit" or not kept.get("edits"):
        kept.pop("edits", None)
        kept.pop("based_on", None)
    if not discards_edits:
        _require_nothing_lost(version, done, kept, may_rename=may_rename)
    if columns:
        kept["columns"] = {**kept.get("columns", {}), **columns}
    chosen = {key: one for key, one in reading.items() if key not in DONE_TO_THE_TABLE}
    return reimport(version, cast(ReadingOptions, {**chosen, **kept}), by)


def _changed_options(version: DatasetVersion, reading: ReadingOptions) -> set[str]:
    """The options that differ from how the version was read. To choose what was detected changes
    nothing; to leave to detection what was chosen may."""
    was = {**version.dialect, **version.overrides}
    differing = {key for key, value in reading.items() if was.get(key) != value}
    return (differing | (set(version.overrides) - set(reading))) - DONE_TO_THE_TABLE


def _require_nothing_lost(
    version: DatasetVersion, done: ReadingOptions, kept: ReadingOptions, *, may_rename: bool
) -> None:
    edits, readings = len(done.get("edits", [])), len(done.get("columns", {}))
    lost_edits = edits - len(kept.get("edits", []))
    lost_readings = readings - len(kept.get("columns", {}))
    sentences = []
    if lost_edits or lost_readings:
        sentences.append(
            f"Read in this way, the new version would lose edits ({lost_edits:,} of {edits:,}) and"
            f" chosen readings of columns ({lost_readings:,} of {readings:,}): they hold only for"
            f" the table as it is read now. Version {version.number} keeps them."
        )
    if may_rename and done.get("mask"):
        sentences.append(
            "Personal data shows again in masked columns whose names this reading changes."
        )
    if sentences:
        raise EditsWouldBeLost(" ".join(sentences), param="discard_edits")


def choose_readings(
    version: DatasetVersion,
    readings: Mapping[str, str],
    by: User | ApiToken,
    *,
    discards_edits: bool = False,
) -> DatasetVersion:
    """A new version in which these columns are read as chosen; earlier choices are kept.

    The column "" stands for the first line, for the file of an archive, or for where the labels of
    pictures stand.

    Raises UnknownReading for a column that the version lacks or a reading that does not exist, and
    that and EditsWouldBeLost as `read_another_way`.
    """
    names = {column["name"] for column in version.columns}
    columns = {column: reading for column, reading in readings.items() if column}
    for column, reading in columns.items():
        if column not in names:
            raise UnknownReading(f"This version has no column {column!r}.", param="columns")
        if parse_reading(reading) is None:
            raise UnknownReading(
                f"{reading!r} is no reading. Choose text, a number such as number:1,234.5 or a date"
                " such as date:d/m/y.",
                param="columns",
            )
    options = cast(ReadingOptions, dict(version.overrides))
    if readings.get("", "").startswith("file:"):
        # Another table: how this one is read does not apply to it.
        options = {"file": _chosen_file(version, readings[""])}
    elif readings.get("", "").startswith("labels:"):
        options = {"labels": _chosen_labels(version, readings[""])}
    elif "" in readings:
        options["header_rows"] = _chosen_header_rows(readings[""])
    return read_another_way(version, options, by, columns=columns, discards_edits=discards_edits)


def _chosen_file(version: DatasetVersion, reading: str) -> str:
    """The file in "file:train.csv"; "*" stands for all files with the same columns. Raises
    UnknownReading for a file that the archive does not have."""
    file, files = reading.partition(":")[2], version.dialect.get("files", [])
    if files and (file == "*" or file in files):
        return file
    raise UnknownReading(
        f"The upload is no archive that holds {file!r}. Choose one of: {', '.join(files[:20])}."
        if files
        else "The upload is no archive of several tables.",
        param="columns",
    )


def _chosen_labels(version: DatasetVersion, reading: str) -> str:
    """Of "labels:names" or "labels:folders", where the labels of pictures stand."""
    chosen = reading.partition(":")[2]
    if "labels" not in version.dialect or chosen not in ("names", "folders"):
        raise UnknownReading(
            f"{reading!r} says nothing about this version. Of pictures without a table of labels,"
            " choose labels:names or labels:folders.",
            param="columns",
        )
    return chosen


def _chosen_header_rows(reading: str) -> int:
    """The number of header rows in "header:1" or "header:0". Raises UnknownReading for others."""
    if reading not in ("header:0", "header:1"):
        raise UnknownReading(
            f"{reading!r} says nothing about the first line. Choose header:1 or header:0.",
            param="columns",
        )
    return int(reading[-1])
