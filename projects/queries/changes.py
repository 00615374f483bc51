"""What each version of a dataset changed, in words for its list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from projects.models import DatasetVersion
from projects.queries.questions import reading_title
from projects.reading.fixes.operations import FIXES
from projects.reading.results import Edit, ReadingOptions

MAX_NAMED = 3
READ_ANOTHER_WAY = "read another way"


@dataclass(frozen=True)
class VersionLine:
    """A version, what it changed in the one before it, and how many more changes it made."""

    version: DatasetVersion
    change: str
    further: int = 0


def list_versions(versions: Sequence[DatasetVersion]) -> list[VersionLine]:
    """The versions with what each changed. A version repeats the edits and readings of the one that
    it was made from: only those that it adds are changes."""
    by_number = {version.number: version for version in versions}
    lines = []
    for version in versions:
        options = cast(ReadingOptions, version.overrides)
        parents = [
            by_number.get(number) for number in (options.get("based_on", 0), version.number - 1)
        ]
        earlier_options = [
            cast(ReadingOptions, parent.overrides if parent else {}) for parent in parents
        ]
        if "based_on" in options:
            # Only the version that it was made from has the edits that it repeats.
            repeated = [before for before in earlier_options if _repeats_edits(options, before)]
            earlier_options = repeated or earlier_options
        changes = min((_changes(options, before) for before in earlier_options), key=len)
        if version.overrides and not changes:
            changes = [READ_ANOTHER_WAY]
        lines.append(VersionLine(version, changes[0] if changes else "", len(changes[1:])))
    return lines


def _repeats_edits(options: ReadingOptions, before: ReadingOptions) -> bool:
    earlier_edits = before.get("edits", [])
    return options.get("edits", [])[: len(earlier_edits)] == earlier_edits


def _changes(options: ReadingOptions, before: ReadingOptions) -> list[str]:
    """Words for what `options` add to those of an earlier version."""
    edits, earlier_edits = options.get("edits", []), before.get("edits", [])
    added = edits[len(earlier_edits) :] if _repeats_edits(options, before) else []
    changes = [_describe(edit) for edit in added]
    if options.get("file", "") not in ("", before.get("file", "")):
        changes.append(f"read from the archive: {reading_title('file:' + options['file'])}")
    decided = before.get("columns", {})
    for column, reading in options.get("columns", {}).items():
        if decided.get(column) != reading:
            changes.append(f"{column} read as: {reading_title(reading)}")
    masked = [name for name in options.get("mask", []) if name not in before.get("mask", [])]
    if masked:
        changes.append(f"personal data masked in {_listed(masked)}")
    return changes


def _describe(edit: Edit) -> str:
    operation, column, rows = edit["op"], edit.get("column", ""), len(edit.get("rows", []))
    if operation == "merge_values":
        return f"{_listed(edit['values'])} became {edit['to']} in {column}"
    if operation == "drop_duplicates":
        return "repeated rows deleted"
    if operation == "drop_rows":
        return "1 row deleted" if rows == 1 else f"{rows:,} rows deleted"
    if operation == "set_cells":
        return f"1 cell of {column} set" if rows == 1 else f"{rows:,} cells of {column} set"
    if operation == "add_rows":
        count = len(edit["cells"])
        return "1 row added" if count == 1 else f"{count:,} rows added"
    if operation == "decode_entities":
        return f"HTML entities decoded in {column}"
    if operation == "drop_missing":
        return f"rows without {column} deleted"
    if operation in FIXES:
        return _describe_fix(edit)
    return f"{column} left out" if operation == "drop_column" else f"{column} added"


def _describe_fix(edit: Edit) -> str:
    column = edit.get("column", "")
    words = {
        "strip_tags": f"HTML tags stripped in {column}",
        "drop_near_duplicates": "nearly repeated texts deleted",
        "clip": f"far numbers of {column} brought to the ends of the others",
        "drop_outside": f"rows with far numbers in {column} deleted",
        "drop_values": f"rows of some values of {column} deleted",
        "drop_rare": f"rows of rare values of {column} deleted",
        "merge_rare": f"rare values of {column} became {edit.get('to', '')}",
        "cap_values": f"rows of frequent values of {column} reduced",
        "keep_majority": f"{column} made one for equal texts",
        "drop_conflicts": f"equal texts with more than one {column} deleted",
        "drop_leaked": f"rows deleted that stand in a later {column}, too",
        "set_matching": f"{column} set in all rows that match",
        "drop_matching": "all rows that match deleted",
    }
    return words[edit["op"]]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (" …" if len(names) > MAX_NAMED else "")
