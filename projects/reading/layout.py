"""Which label and split each picture of an archive has: from folders, or from a table inside."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from projects.reading.archives import MOST_TABLE_BYTES, Archive, Entry, Refused
from projects.reading.outcome import Reject, Unreadable

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
FILE_NAMES = ("file", "filename", "file_name", "path", "image", "image_path", "picture")
LABEL_NAMES = ("label", "class", "category", "target", "labels", "y")
SPLIT_NAMES = ("split", "set", "subset", "partition", "fold")
MOST_LABEL_CHARS = 200


@dataclass(frozen=True)
class Placed:
    """A picture to be read, with what is known of it."""

    entry: Entry
    name: str
    label: str
    split: str | None


@dataclass
class Layout:
    """What an archive holds, and how that was found out."""

    placed: list[Placed] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    how: str = ""
    left_out: int = 0  # System files, and pictures that the table does not name.

    @property
    def has_splits(self) -> bool:
        return any(one.split for one in self.placed)


def lay_out(archive: Archive) -> Layout:
    """Raises Unreadable when no picture has a label."""
    found = Layout()
    entries = []
    for entry in archive.entries():
        if entry.is_system:
            found.left_out += 1
        else:
            entries.append(entry)
    table = _table(archive, entries)
    pictures = [entry for entry in entries if not entry.is_table]
    if not any(entry.is_picture for entry in pictures):
        raise Unreadable(
            "no_pictures",
            "This zip archive holds no pictures. Put them in one folder for each label, or upload"
            " the table inside it by itself.",
        )
    if table is not None:
        _by_table(found, table, pictures)
    else:
        _by_folders(found, pictures)
    if not found.placed:
        first = found.rejects[0].reason if found.rejects else "no file has a label."
        raise Unreadable("no_labels", f"No picture in this archive has a label: {first}")
    return found


@dataclass(frozen=True)
class _Table:
    name: str
    folder: tuple[str, ...]
    rows: list[tuple[int, str, str, str]]  # Line, file, label, split.


def _table(archive: Archive, entries: Sequence[Entry]) -> _Table | None:
    """The first CSV that names files and labels, the one nearest to the top."""
    for entry in sorted((one for one in entries if one.is_table), key=lambda one: len(one.parts)):
        try:
            text = archive.read(entry, MOST_TABLE_BYTES).decode("utf-8-sig", "replace")
        except Refused:
            continue
        lines = csv.reader(io.StringIO(text.replace("\0", "")))
        try:
            rows = _rows(list(lines))
        except csv.Error:
            continue
        if rows is not None:
            return _Table(entry.name, entry.parts[:-1], rows)
    return None


def _rows(lines: list[list[str]]) -> list[tuple[int, str, str, str]] | None:
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    file, label = _column(header, FILE_NAMES), _column(header, LABEL_NAMES)
    split = _column(header, SPLIT_NAMES)
    if file is None or label is None:
        return None
    return [
        (line, _cell(cells, file), _cell(cells, label), _cell(cells, split))
        for line, cells in enumerate(lines[1:], 2)
        if any(cells)
    ]


def _column(header: list[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _cell(cells: list[str], place: int | None) -> str:
    return cells[place].strip() if place is not None and place < len(cells) else ""


def _by_table(found: Layout, table: _Table, entries: Sequence[Entry]) -> None:
    by_path = {"/".join(entry.parts): entry for entry in entries}
    by_name: dict[str, list[Entry]] = {}
    for one in entries:
        by_name.setdefault(one.parts[-1], []).append(one)
    taken: set[int] = set()
    for line, file, label, split in table.rows:
        path = "/".join(
            part for part in file.replace("\\", "/").split("/") if part not in ("", ".")
        )
        inside = "/".join([*table.folder, path])
        alike = by_name.get(path.rsplit("/", 1)[-1], [])
        entry = by_path.get(inside) or by_path.get(path) or (alike[0] if len(alike) == 1 else None)
        problem = _problem(entry, label, split, taken)
        if problem or entry is None:
            found.rejects.append(Reject(line, "file", f"{table.name}: {problem}", [file, label]))
            continue
        taken.add(entry.number)
        part = SPLITS.get(split.casefold()) if split else None
        found.placed.append(Placed(entry, path, label[:MOST_LABEL_CHARS], part))
    found.left_out += sum(one.is_picture and one.number not in taken for one in entries)
    found.how = f"labels from {table.name}"


def _problem(entry: Entry | None, label: str, split: str, taken: set[int]) -> str:
    if entry is None:
        return "no such picture is in the archive."
    if not label:
        return "the picture has no label."
    if split and split.casefold() not in SPLITS:
        return f"the split {split[:40]!r} is neither train, validation nor test."
    return "the picture is named twice." if entry.number in taken else ""


def _by_folders(found: Layout, entries: Sequence[Entry]) -> None:
    folders = {entry.number: _folders(entry) for entry in entries}
    pictures = [entry for entry in entries if entry.is_picture]
    depth = _shared_depth([folders[entry.number] for entry in pictures])
    below = {number: parts[depth:] for number, parts in folders.items()}
    splits = [below[entry.number] for entry in pictures]
    is_split = all(len(parts) > 1 and parts[0].casefold() in SPLITS for parts in splits)
    for entry in entries:
        parts = below[entry.number]
        if not parts or (is_split and len(parts) < 2):
            reason = "The picture lies in no folder, so it has no label."
            found.rejects.append(Reject(entry.number, "label", reason, [entry.name]))
            continue
        label = parts[1] if is_split else parts[0]
        part = SPLITS.get(parts[0].casefold()) if is_split else None
        name = "/".join(entry.parts)
        found.placed.append(Placed(entry, name, label[:MOST_LABEL_CHARS], part))
    found.how = "labels from the folders' names" + (
        ", splits from those above them" if is_split else ""
    )


def _folders(entry: Entry) -> tuple[str, ...]:
    return tuple(part.strip() for part in entry.parts[:-1])


def _shared_depth(folders: Sequence[tuple[str, ...]]) -> int:
    """How many outer folders all pictures share, none of them a split or the last one."""
    depth = 0
    while True:
        names = {parts[depth] if len(parts) > depth + 1 else None for parts in folders}
        name = names.pop() if len(names) == 1 else None
        if name is None or name.casefold() in SPLITS:
            return depth
        depth += 1
