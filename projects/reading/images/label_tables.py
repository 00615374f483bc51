"""Finds the tables of a picture archive that give the labels, and their columns, by the pictures
that cells name as well as by the names of columns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from projects.reading.images.picture_names import PictureNames
from projects.reading.images.table_files import (
    CVAT_SUFFIX,
    JSON_SUFFIXES,
    TABLE_SUFFIXES,
    WORKBOOK_SUFFIXES,
    Cells,
    FileTable,
    NoLabelTable,
    read_file_table,
)
from projects.reading.images.zip_archive import (
    IMAGE_SUFFIXES,
    UnreadableEntry,
    ZipArchive,
    ZipEntry,
)
from projects.reading.results import UnreadableFile

SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
FILE_COLUMNS = (
    "file", "filename", "file_name", "path", "filepath", "file_path", "image", "image_path",
    "image_name", "image_id", "imageid", "img", "picture", "photo", "id", "name",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "class", "category", "target", "labels", "y", "class_name", "label_name",
    "category_name", "breed", "species", "type", "kind", "tag", "diagnosis", "answer",
)  # fmt: skip
NAMING_SUFFIXES = (*TABLE_SUFFIXES, *JSON_SUFFIXES, *WORKBOOK_SUFFIXES, CVAT_SUFFIX)
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold")
MIN_NAMED_SHARE = 0.5  # Of the rows must name a picture before a column is taken for the files.
SAMPLED_ROWS = 500


@dataclass(frozen=True)
class LabelTable:
    """The rows of a table of labels: line, file as written, label and split of each."""

    name: str
    folder: tuple[str, ...]
    rows: list[tuple[int, str, str, str]]
    source: str  # Which columns were used, for people.
    place_split: str = ""  # What the table's folder or file name says, such as train.
    marks_places: bool = False  # By boxes or outlines, which are not learnt.


@dataclass
class LabelTables:
    """The tables that label pictures, and a sentence on each that does not."""

    tables: list[LabelTable] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def find_label_tables(
    archive: ZipArchive, entries: Sequence[ZipEntry], pictures: PictureNames
) -> LabelTables:
    """The tables that label pictures. Raises UnreadableFile when a table names the pictures but it
    is not clear which column is the label."""
    label_tables = LabelTables()
    for entry in sorted(entries, key=lambda entry: len(entry.parts)):
        if not entry.name.lower().endswith(NAMING_SUFFIXES):
            continue
        try:
            if "submission" in entry.parts[-1].casefold():
                raise NoLabelTable("its labels are places for answers, as its name says")
            table = _read_label_table(archive, entry, pictures)
        except (UnreadableEntry, NoLabelTable) as problem:
            if not entry.name.lower().endswith(".txt"):  # A read-me file, most often.
                label_tables.unused.append(f"{entry.name} was not used for labels: {problem}.")
            continue
        label_tables.tables.append(table)
        if table.marks_places:
            label_tables.unused.append(
                f"{entry.name} marks places in the pictures, such as boxes. Only the label of each"
                " whole picture is learnt, not where something is."
            )
    return label_tables


def _read_label_table(archive: ZipArchive, entry: ZipEntry, pictures: PictureNames) -> LabelTable:
    folder = entry.parts[:-1]
    table = read_file_table(archive, entry)
    files = _find_file_column(table, pictures, folder)
    is_picture = files is not None and (
        files.lower().endswith(IMAGE_SUFFIXES) or pictures.count_known([files], folder) > 0
    )
    if table.has_header and is_picture:
        table = read_file_table(archive, entry, header_rows=0)  # The first line names a picture.
        files = _find_file_column(table, pictures, folder)
    elif not table.has_header and files is not None:
        first = table.rows[0][1].get(files, "")
        if not pictures.count_known([first], folder) and len(table.rows) > 1:
            table = read_file_table(archive, entry, header_rows=1)
            files = _find_file_column(table, pictures, folder)
    if files is None:
        raise NoLabelTable("no column of it names the pictures")
    split = _column_named(table.names, SPLIT_COLUMNS)
    rows, source = _read_labels(entry.name, table, files, split)
    if not any(label for _, _, label, _ in rows):
        raise NoLabelTable("no column of it holds a label")
    split_of_place = _split_of_place(entry)
    return LabelTable(
        entry.name, folder, rows, f"{entry.name} ({source})", split_of_place, table.marks_places
    )


def _find_file_column(
    table: FileTable, pictures: PictureNames, folder: tuple[str, ...]
) -> str | None:
    """The column whose cells name the most pictures; else one whose name says that it holds files,
    if there is a column of labels, so that rows of missing pictures are reported."""
    sample = [cells for _, cells in table.rows[:SAMPLED_ROWS]]
    counts = {
        name: pictures.count_known([cells.get(name, "") for cells in sample], folder)
        for name in table.names
    }
    best = max(counts, key=lambda name: counts[name], default=None)
    if best is not None and counts[best] >= MIN_NAMED_SHARE * max(1, len(sample)):
        return best
    file_column = _column_named(table.names, FILE_COLUMNS)
    is_labelled = _column_named(table.names, LABEL_COLUMNS) is not None
    return file_column if is_labelled and file_column not in ("id", "name", "type", None) else None


def _column_named(names: Sequence[str], preferred: Sequence[str]) -> str | None:
    folded = {name.strip().casefold().replace(" ", "_"): name for name in reversed(names)}
    return next((folded[name] for name in preferred if name in folded), None)


def _read_labels(
    file_name: str, table: FileTable, files: str, split: str | None
) -> tuple[list[tuple[int, str, str, str]], str]:
    """The rows of the table, by its label column or by its columns of ones and zeros."""
    others = [name for name in table.names if name not in (files, split)]
    label = _column_named(others, LABEL_COLUMNS) or (others[0] if len(others) == 1 else None)
    if label is None:
        label = _only_repeating_column(table, others)
    if label is not None:
        rows = [
            (line, cells.get(files, ""), _single_label(cells.get(label, "")), _cell(cells, split))
            for line, cells in table.rows
        ]
        return rows, f"pictures by {files}, labels by {label}"
    marks = [name for name in others if _holds_marks(table, name)]
    if len(marks) < 2:
        raise UnreadableFile(
            "no_label_column",
            f"{file_name} names the pictures in its column {files}, but it is not clear which of"
            f" its columns is the label: {', '.join(others[:10]) or 'there is no other'}. Call that"
            " column label.",
        )
    rows = [
        (
            line,
            cells.get(files, ""),
            _marked_label(file_name, line, cells, marks),
            _cell(cells, split),
        )
        for line, cells in table.rows
    ]
    return rows, f"pictures by {files}, labels by the column that is 1"


def _cell(cells: Cells, name: str | None) -> str:
    return cells.get(name, "") if name is not None else ""


def _only_repeating_column(table: FileTable, others: Sequence[str]) -> str | None:
    """The one column of words that repeat, among paths, sizes and numbers."""
    repeating = []
    for name in others:
        values = [cells[name] for _, cells in table.rows if cells.get(name)]
        is_words = any(any(letter.isalpha() for letter in value) for value in values)
        if is_words and 1 < len(set(values)) <= len(values) / 2:
            repeating.append(name)
    return repeating[0] if len(repeating) == 1 else None


def _holds_marks(table: FileTable, name: str) -> bool:
    return {cells.get(name, "") for _, cells in table.rows} <= {"0", "1", "0.0", "1.0", ""}


def _marked_label(file_name: str, line: int, cells: Cells, marks: Sequence[str]) -> str:
    present = [name for name in marks if cells.get(name) in ("1", "1.0")]
    if len(present) > 1:
        raise UnreadableFile(
            "several_labels",
            f"Line {line} of {file_name} gives a picture several labels ({', '.join(present[:5])});"
            " a picture is learnt with one. Keep one label for each picture.",
        )
    return present[0] if present else ""


def _single_label(cell: str) -> str:
    """The label of a cell; of a JSON list the only entry. Raises UnreadableFile for several."""
    if not cell.startswith("["):
        return cell
    try:
        labels = json.loads(cell)
    except ValueError:
        return cell
    if isinstance(labels, list) and len(labels) > 1:
        raise UnreadableFile(
            "several_labels",
            f"A picture has several labels ({cell[:80]}); a picture is learnt with one. Keep one"
            " label for each picture.",
        )
    return str(labels[0]) if labels else ""


def _split_of_place(entry: ZipEntry) -> str:
    """The split that a table's folder or file name says: train/metadata.csv, val.csv."""
    stem = entry.parts[-1].rsplit(".", 1)[0].casefold()
    places = [stem, *(part.casefold() for part in reversed(entry.parts[:-1]))]
    return next((SPLIT_ALIASES[place] for place in places if place in SPLIT_ALIASES), "")
