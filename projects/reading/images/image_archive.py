"""Which label and split each image of an archive has: from folders, or from a table inside."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from projects.reading.columns.column import ColumnQuestion
from projects.reading.images.label_tables import SPLIT_ALIASES, LabelTable, find_label_tables
from projects.reading.images.labels_in_names import find_labels_in_names
from projects.reading.images.picture_names import PictureNames
from projects.reading.images.zip_archive import ZipArchive, ZipEntry
from projects.reading.results import RejectedRow, UnreadableFile

MAX_LABEL_CHARS = 200
MAX_ASKED_PICTURES = 5
BY_NAMES, BY_FOLDERS = "names", "folders"  # As ReadingOptions has it.


@dataclass(frozen=True)
class ImageEntry:
    """An image to be read, with its label and split."""

    entry: ZipEntry
    name: str
    label: str
    split: str | None


@dataclass
class ImageArchiveIndex:
    """The images of an archive with their labels, and where the labels came from."""

    images: list[ImageEntry] = field(default_factory=list)
    rejects: list[RejectedRow] = field(default_factory=list)
    label_source: str = ""
    skipped_count: int = 0  # System files, and images that the table does not name.
    notes: list[str] = field(default_factory=list)  # Worth saying about labels.
    questions: list[ColumnQuestion] = field(default_factory=list)

    @property
    def has_splits(self) -> bool:
        return any(image.split for image in self.images)


def index_archive(archive: ZipArchive, labels_by: str = "") -> ImageArchiveIndex:
    """`labels_by` says where labels stand if a person has decided it. Raises UnreadableFile when no
    image has a label."""
    index = ImageArchiveIndex()
    entries = []
    for entry in archive.entries():
        if entry.is_system_file:
            index.skipped_count += 1
        else:
            entries.append(entry)
    images = [entry for entry in entries if entry.is_image]
    if not images:
        raise UnreadableFile(
            "no_pictures",
            "This zip archive holds no pictures. Put them in one folder for each label, or upload"
            " the table inside it by itself.",
        )
    pictures = PictureNames(entries)
    label_tables = find_label_tables(archive, entries, pictures)
    index.notes += label_tables.unused
    if label_tables.tables:
        _index_by_tables(index, label_tables.tables, pictures, images)
    else:
        _index_by_folders(index, [entry for entry in entries if not entry.is_table])
        others = [entry for entry in entries if not (entry.is_table or entry.is_image)]
        others = others if len(others) >= len(images) / 2 else []  # A few are read-me files.
        if others or index.notes or not _read_names(index, images, labels_by):
            _explain_only_folder(index, others)
    if not index.images:
        first = index.rejects[0].reason if index.rejects else "no file has a label."
        raise UnreadableFile("no_labels", f"No picture in this archive has a label: {first}")
    return index


def _index_by_tables(
    index: ImageArchiveIndex,
    tables: Sequence[LabelTable],
    pictures: PictureNames,
    images: Sequence[ZipEntry],
) -> None:
    used: set[int] = set()
    # Where a table lies is a split only if the pictures are shared between several such places.
    is_split_by_place = len({table.place_split for table in tables} - {""}) > 1
    for table in tables:
        for line, file, label, own_split in table.rows:
            picture = pictures.find(file, table.folder)
            split = own_split or (table.place_split if is_split_by_place else "")
            problem = (
                picture
                if isinstance(picture, str)
                else _rejection_reason(picture, label, split, used)
            )
            if isinstance(picture, str) or problem:
                reason = f"{table.name}: {problem}"
                index.rejects.append(RejectedRow(line, "file", reason, [file, label]))
                continue
            used.add(picture.number)
            part = SPLIT_ALIASES.get(split.casefold())
            name = "/".join(picture.parts)
            index.images.append(ImageEntry(picture, name, label[:MAX_LABEL_CHARS], part))
    index.skipped_count += sum(entry.number not in used for entry in images)
    sources = "; ".join(table.source for table in tables)
    index.label_source = f"labels from {sources}"


def _read_names(index: ImageArchiveIndex, images: Sequence[ZipEntry], labels_by: str) -> bool:
    """Take labels out of the pictures' names where folders tell none and names do, and ask where a
    folder could be a label too; whether the index holds labels that need no explanation."""
    folders = {image.entry.number: image for image in index.images if image.entry.is_image}
    places = {image.label for image in folders.values()}
    only_splits = all(_split_called(place) for place in places)
    if labels_by == BY_FOLDERS or not (len(places) < 2 or only_splits):
        return False
    labels = find_labels_in_names(images)
    if not labels and only_splits:  # Pictures for a test often have none.
        taught = [entry for entry in images if _split_of(folders, entry) != "test"]
        labels = find_labels_in_names(taught)
    if not labels:
        if only_splits and len(places) > 1:
            raise UnreadableFile(
                "no_labels",
                f"The folders {', '.join(map(repr, sorted(places)))} say which pictures are for the"
                " test, not what they show. Give each label a folder inside them, or add a table"
                " with the columns file and label.",
            )
        return False
    if folders and not labels_by:
        index.questions.append(_ask_about_names(folders, labels))
    _label_by_names(index, images, folders, labels)
    return True


def _label_by_names(
    index: ImageArchiveIndex,
    images: Sequence[ZipEntry],
    folders: dict[int, ImageEntry],
    labels: dict[int, str],
) -> None:
    index.images = [
        ImageEntry(
            entry,
            "/".join(entry.parts),
            labels[entry.number][:MAX_LABEL_CHARS],
            _split_of(folders, entry),
        )
        for entry in images
        if entry.number in labels
    ]
    index.rejects = [
        RejectedRow(entry.number, "label", "The picture's name tells no label.", [entry.name])
        for entry in images
        if entry.number not in labels
    ]
    if len({image.split for image in index.images}) == 1:
        index.images = [replace(image, split=None) for image in index.images]
    first = index.images[0]
    index.label_source = "labels from the pictures' names"
    index.notes.append(
        f"Labels were read out of the pictures' names, such as {first.label!r} of"
        f" {first.entry.parts[-1]!r}."
    )


def _split_called(folder: str) -> str | None:
    """The split that a folder such as train, test1 or Validation is called after."""
    return SPLIT_ALIASES.get(folder.casefold().rstrip("0123456789_- "))


def _split_of(folders: dict[int, ImageEntry], entry: ZipEntry) -> str | None:
    return _split_called(folders[entry.number].label) if entry.number in folders else None


def _ask_about_names(folders: dict[int, ImageEntry], labels: dict[int, str]) -> ColumnQuestion:
    """The first picture of each label, with both readings."""
    first: dict[str, int] = {}
    for number, label in labels.items():
        first.setdefault(label, number)
    asked = [number for number in first.values() if number in folders][:MAX_ASKED_PICTURES]
    return {
        "column": "",
        "code": "picture_labels",
        "sentence": "The folders of these pictures tell no label, but the pictures' own names may."
        " Which are the labels?",
        "cells": [folders[number].entry.parts[-1] for number in asked],
        "readings": [
            {"name": f"labels:{BY_NAMES}", "values": [labels[number] for number in asked]},
            {"name": f"labels:{BY_FOLDERS}", "values": [folders[number].label for number in asked]},
        ],
    }


def _explain_only_folder(index: ImageArchiveIndex, others: Sequence[ZipEntry]) -> None:
    """Where all images lie in one folder: raise UnreadableFile if there are tables, or files of
    another kind such as annotations of YOLO or Pascal VOC, that were not understood, as they hold
    the labels; else add a note that the folder's name is the only label."""
    labels = {image.label for image in index.images if image.entry.is_image}
    if len(labels) != 1:
        return
    (label,) = labels
    if index.notes:
        raise UnreadableFile(
            "no_labels",
            f"All pictures lie in one folder, {label!r}, and no table labels them."
            f" {' '.join(index.notes[:3])}",
        )
    if others:
        listed = ", ".join("/".join(entry.parts)[-80:] for entry in others[:3])
        raise UnreadableFile(
            "no_labels",
            f"All pictures lie in one folder, {label!r}, and no other file is a table (other files:"
            f" {len(others):,}, such as {listed}). Give each label a folder, or add a table with"
            " the columns file and label.",
        )
    index.notes.append(
        f"All pictures lie in one folder, so all have its name as their label: {label!r}. Make one"
        " folder for each label, or add a table with the columns file and label."
    )


def _rejection_reason(entry: ZipEntry, label: str, split: str, used: set[int]) -> str:
    if not label:
        return "the picture has no label."
    if split and split.casefold() not in SPLIT_ALIASES:
        return f"the split {split[:40]!r} is neither train, validation nor test."
    return "the picture is named twice." if entry.number in used else ""


def _index_by_folders(index: ImageArchiveIndex, entries: Sequence[ZipEntry]) -> None:
    folders = {entry.number: tuple(part.strip() for part in entry.parts[:-1]) for entry in entries}
    images = [entry for entry in entries if entry.is_image]
    depth = _common_folder_depth([folders[entry.number] for entry in images])
    below = {number: parts[depth:] for number, parts in folders.items()}
    splits = [below[entry.number] for entry in images]
    is_split = all(len(parts) > 1 and parts[0].casefold() in SPLIT_ALIASES for parts in splits)
    for entry in entries:
        parts = below[entry.number]
        if not parts or (is_split and len(parts) < 2):
            if not entry.is_image:
                index.skipped_count += 1  # A read-me file.
                continue
            reason = "The picture lies in no folder, so it has no label."
            index.rejects.append(RejectedRow(entry.number, "label", reason, [entry.name]))
            continue
        label = parts[1] if is_split else parts[0]
        part = SPLIT_ALIASES.get(parts[0].casefold()) if is_split else None
        name = "/".join(entry.parts)
        index.images.append(ImageEntry(entry, name, label[:MAX_LABEL_CHARS], part))
    index.label_source = (
        "labels from the folders' names, splits from those above them"
        if is_split
        else "labels from the folders' names"
    )


def _common_folder_depth(folders: Sequence[tuple[str, ...]]) -> int:
    """How many outer folders all images share, none of them a split or the last one."""
    depth = 0
    while True:
        names = {parts[depth] if len(parts) > depth + 1 else None for parts in folders}
        name = names.pop() if len(names) == 1 else None
        if name is None or name.casefold() in SPLIT_ALIASES:
            return depth
        depth += 1
