"""Edits a version's rows, labels and columns. Each edit makes a new version of the same file."""

from collections.abc import Collection, Sequence
from typing import cast

from accounts.models import ApiToken, User
from projects.errors import BadEdit, DatasetNotReady
from projects.importing.uploads import reimport
from projects.models import DatasetVersion, ImportStatus
from projects.profiling.profile import ProfileWarning
from projects.reading.edits import check_edit
from projects.reading.fixes.operations import EditProblem
from projects.reading.results import Edit, ReadingOptions

MAX_EDITS = 1_000


def edit_version(
    version: DatasetVersion, edits: Sequence[Edit], by: User | ApiToken
) -> DatasetVersion:
    """A new version with these edits, after those that the version already has.

    Raises BadEdit for an edit that does not fit the version, and DatasetNotReady.
    """
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    overrides = cast(ReadingOptions, dict(version.overrides))
    earlier_edits = overrides.get("edits", [])
    if not edits or len(earlier_edits) + len(edits) > MAX_EDITS:
        raise BadEdit(f"A version has 1 to {MAX_EDITS:,} edits.", param="edits")
    types = {column["name"]: column["type"] for column in version.columns}
    rows = version.rows or 0
    for edit in edits:
        try:
            check_edit(edit, types, rows)
        except EditProblem as problem:
            raise BadEdit(str(problem), param="edits") from None
        if edit["op"] == "drop_column":
            del types[edit["column"]]
        if edit["op"] == "add_column":
            types[edit["column"]] = "text"
        if edit["op"] == "drop_rows":
            rows -= len(set(edit["rows"]))
        if edit["op"] == "add_rows":
            rows += len(edit["cells"])
    overrides["edits"], overrides["based_on"] = [*earlier_edits, *edits], version.number
    return reimport(version, overrides, by)


def apply_fix(
    version: DatasetVersion, place: int, by: User | ApiToken, *, is_other: bool = False
) -> DatasetVersion | None:
    """A new version with the edits that the profile's finding at this place, from 0, offers, or
    those of its alternative; None where it offers none."""
    findings = cast("list[ProfileWarning]", version.profile.get("warnings", []))
    finding = findings[place] if 0 <= place < len(findings) else None
    if finding is None:
        return None
    fix = finding.get("other_fix") if is_other else finding.get("fix")
    return edit_version(version, fix["edits"], by) if fix else None


def mask_columns(
    version: DatasetVersion, columns: Collection[str], by: User | ApiToken
) -> DatasetVersion:
    """A new version in which personal data in these columns, too, is replaced by its kind."""
    options = cast(ReadingOptions, dict(version.overrides))
    options["mask"] = sorted({*options.get("mask", []), *columns})
    return reimport(version, options, by)
