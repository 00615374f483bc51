"""Reads the tables inside picture archives: CSV of any dialect, JSON lines, and JSON of labelling
tools, all as named columns of text."""

import itertools
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from projects.reading.csv.source import open_csv
from projects.reading.encodings.detection import decode_text
from projects.reading.images.zip_archive import MAX_TABLE_BYTES, ZipArchive, ZipEntry
from projects.reading.json.rows import NoRows, find_rows
from projects.reading.json.shapes import flatten_rows
from projects.reading.limits import MAX_IMAGES
from projects.reading.results import ReadingOptions, RejectedRow, TableSource, UnreadableFile

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
WORKBOOK_SUFFIXES = (".xlsx", ".xls", ".ods")
CVAT_SUFFIX, CVAT_SPLITS = "annotations.xml", ("train", "validation", "test")
# Columns that say where in a picture something is.
PLACE_COLUMNS = frozenset({
    "xmin", "x_min", "xmax", "x_max", "x1", "bbox", "bboxes", "boxes", "box", "bbox_x", "left",
    "segmentation", "polygon", "region_shape_attributes", "encodedpixels", "objects",
    "objects.bbox", "roi.x1",
})  # fmt: skip
Cells = dict[str, str]
JsonObject = dict[str, object]


@dataclass(frozen=True)
class FileTable:
    """A table of an archive. `rows` are line numbers and cells by column name."""

    names: list[str]
    rows: list[tuple[int, Cells]]
    has_header: bool = True
    marks_places: bool = False  # In the pictures, by boxes or outlines.


class NoLabelTable(Exception):
    """The file holds no table that could name pictures; the message is the end of a sentence."""


def read_file_table(
    archive: ZipArchive, entry: ZipEntry, *, header_rows: int | None = None
) -> FileTable:
    """The entry as named columns of text. Raises NoLabelTable where it holds no such table,
    UnreadableEntry where it cannot be unpacked, UnreadableFile for a broken archive."""
    content = archive.read(entry, MAX_TABLE_BYTES)
    if entry.name.lower().endswith(WORKBOOK_SUFFIXES):
        return _read_workbook(content)
    if entry.name.lower().endswith(CVAT_SUFFIX):
        return _read_cvat(content)
    if entry.name.lower().endswith(JSON_SUFFIXES):
        return _read_json(content, is_lines=not entry.name.lower().endswith(".json"))
    return _read_csv(content, header_rows)


def _read_csv(content: bytes, header_rows: int | None) -> FileTable:
    options: ReadingOptions = {} if header_rows is None else {"header_rows": header_rows}
    return _read_source(content, lambda path: open_csv(path, options))


def _read_workbook(content: bytes) -> FileTable:
    # Its libraries take long to load, and hardly an archive needs them.
    from projects.reading.excel import open_spreadsheet

    return _read_source(content, lambda path: open_spreadsheet(path, {}))


def _read_source(content: bytes, open_table: Callable[[Path], TableSource]) -> FileTable:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            source = open_table(Path(file.name))
            rows = list(itertools.islice(source.rows, MAX_IMAGES))
        except UnreadableFile as refusal:
            raise NoLabelTable(refusal.sentence) from None
    has_header = any(source.names)
    names = [name or f"column_{place}" for place, name in enumerate(source.names, 1)]
    first = 2 if has_header else 1
    folded = {name.casefold() for name in names}
    return FileTable(
        names,
        [
            (line, {name: (cell or "").strip() for name, cell in zip(names, row, strict=False)})
            for line, row in enumerate(rows, first)
            if not isinstance(row, RejectedRow)
        ],
        has_header,
        bool(folded & PLACE_COLUMNS) or folded >= {"x", "y", "w", "h"},
    )


def _read_json(content: bytes, *, is_lines: bool) -> FileTable:
    text = decode_text(content)
    try:
        document: object = None
        if is_lines:
            rows: list[object] = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            document = json.loads(text)
            rows = _rows_of_document(document)
    except (ValueError, RecursionError, NoRows):
        raise NoLabelTable("it is no JSON that names pictures") from None
    text_rows = [(line, _as_text(row)) for line, row in enumerate(rows, 1) if isinstance(row, dict)]
    names = list(dict.fromkeys(name for _, cells in text_rows for name in cells))
    if not text_rows:
        raise NoLabelTable("it holds no list of pictures")
    marks_places = bool({name.casefold() for name in names} & PLACE_COLUMNS)
    return FileTable(names, text_rows, marks_places=marks_places or _has_coco_places(document))


def _has_coco_places(document: object) -> bool:
    annotations = document.get("annotations") if isinstance(document, dict) else None
    return any(
        annotation.get("bbox") or annotation.get("segmentation") or annotation.get("keypoints")
        for annotation in _objects(annotations)
    )


def _read_cvat(content: bytes) -> FileTable:
    """CVAT's XML for images: tags say what a whole picture is, other marks what is in it."""
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError):
        raise NoLabelTable("it is no XML that names pictures") from None
    rows: list[tuple[int, Cells]] = []
    marks_places = False
    for line, image in enumerate(root.iter("image"), 1):
        tags = [mark.get("label", "") for mark in image.iter("tag")]
        marks_places = marks_places or (not tags and len(image) > 0)
        labels = list(dict.fromkeys(tags or [mark.get("label", "") for mark in image]))
        label = labels[0] if len(labels) == 1 else json.dumps(labels) if labels else ""
        row = {"file_name": image.get("name", ""), "label": label}
        split = image.get("subset", "").lower()
        rows.append((line, {**row, "split": split} if split in CVAT_SPLITS else row))
    if not rows or not any(cells["file_name"] for _, cells in rows):
        raise NoLabelTable("it is no XML of CVAT that names pictures")
    names = list(dict.fromkeys(name for _, cells in rows for name in cells))
    return FileTable(names, rows, marks_places=marks_places)


def _as_text(row: JsonObject) -> Cells:
    return {
        str(name): value.strip() if isinstance(value, str) else json.dumps(value)
        for name, value in row.items()
        if value is not None
    }


def _rows_of_document(document: object) -> list[object]:
    if isinstance(document, dict):
        for convert in (_rows_of_coco, _rows_of_datumaro, _rows_of_mapping):
            rows = convert(document)
            if rows is not None:
                return rows
    return flatten_rows(find_rows(document).rows)


def _rows_of_coco(document: JsonObject) -> list[object] | None:
    """COCO: images, and annotations that give each a category. One category a picture is a label;
    several become a list, which is refused later with the picture's name."""
    images, annotations = document.get("images"), document.get("annotations")
    categories = document.get("categories")
    if not (isinstance(images, list) and isinstance(annotations, list)):
        return None
    names = {category.get("id"): str(category.get("name")) for category in _objects(categories)}
    labels: dict[object, list[str]] = defaultdict(list)
    for annotation in _objects(annotations):
        name = names.get(annotation.get("category_id"))
        if name is not None and name not in labels[annotation.get("image_id")]:
            labels[annotation.get("image_id")].append(name)
    return [
        {"file_name": image.get("file_name"), "label": _one_or_list(labels[image.get("id")])}
        for image in _objects(images)
    ]


def _rows_of_datumaro(document: JsonObject) -> list[object] | None:
    """Datumaro's JSON, which CVAT exports: items with annotations of the type label."""
    items, categories = document.get("items"), document.get("categories")
    if not isinstance(items, list) or not isinstance(categories, dict):
        return None
    listed = (categories.get("label") or {}).get("labels")
    names = [str(label.get("name")) for label in _objects(listed)]
    rows: list[object] = []
    for item in _objects(items):
        annotations = _objects(item.get("annotations"))
        places = [
            cast(int, annotation.get("label_id"))
            for annotation in annotations
            if annotation.get("type") == "label"
        ]
        labels = [names[place] for place in places if 0 <= place < len(names)]
        image = item.get("image")
        path = image.get("path") if isinstance(image, dict) else None
        rows.append({"file_name": path or item.get("id"), "label": _one_or_list(labels)})
    return rows


def _rows_of_mapping(document: JsonObject) -> list[object] | None:
    """{"a.png": "cat", …}"""
    if len(document) < 2 or not all(isinstance(value, str | int) for value in document.values()):
        return None
    return [{"file_name": name, "label": str(value)} for name, value in document.items()]


def _objects(value: object) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _one_or_list(labels: list[str]) -> object:
    return labels[0] if len(labels) == 1 else labels or None
