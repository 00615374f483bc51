"""Reads pictures and their labels from Parquet, a few at a time, into one array on disk."""

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from engine.errors import BadTrainingData
from engine.examples import as_strings, read_columns
from engine.images.decoding import NotAPicture
from engine.images.preprocessing import Pixels, Preprocessing
from engine.spec import ImageSpec

FEWEST_ROWS = 10
MOST_LABELS = 1000
ROWS_AT_ONCE = 64
NAME_COLUMNS = ("file", "filename", "file_name", "path", "name")


@dataclass(frozen=True)
class Pictures:
    """Usable rows. `rows` are their numbers in the file, from 0; `labels` index `label_names`."""

    rows: npt.NDArray[np.int64]
    pixels: Pixels  # (rows, side, side, 3), mapped from disk.
    labels: npt.NDArray[np.int64]
    label_names: list[str]
    names: list[str]  # File names, to show to people.
    digests: list[str]  # What equal pictures are known by.
    split_values: list[str | None] | None
    warnings: list[str]


def read_pictures(
    spec: ImageSpec, look: Preprocessing, advance: Callable[[float], None] = lambda share: None
) -> Pictures:
    """Every row with a readable picture and a label. Raises BadTrainingData for useless data."""
    told = _told_about_rows(spec)
    targets = as_strings(told, spec.target_column)
    labelled = np.asarray([row for row, target in enumerate(targets) if target], dtype=np.int64)
    if not pa.types.is_binary(kind := _kind(spec)) and not pa.types.is_large_binary(kind):
        raise BadTrainingData(
            "not_pictures",
            f"Column {spec.image_column!r} holds no pictures. Upload a zip archive of pictures.",
        )
    pixels, digests = _decode_all(spec, look, labelled, advance)
    seen = np.asarray([place for place, digest in enumerate(digests) if digest], dtype=np.int64)
    rows = labelled[seen]
    present = [str(targets[row]) for row in rows]
    _refuse_unlearnable(spec, Counter(present))
    label_names = sorted(set(present))
    places = {name: place for place, name in enumerate(label_names)}
    chosen = told.take(pa.array(rows))
    column = spec.division.column
    return Pictures(
        rows=rows,
        pixels=pixels if len(seen) == len(digests) else pixels[seen],
        labels=np.asarray([places[name] for name in present], dtype=np.int64),
        label_names=label_names,
        names=_names(chosen, rows),
        digests=[digests[place] for place in seen],
        split_values=as_strings(chosen, column) if column else None,
        warnings=_warnings(spec, len(targets), len(labelled), len(rows)),
    )


def _told_about_rows(spec: ImageSpec) -> pa.Table:
    """Everything needed of the rows but the pictures."""
    column = spec.division.column
    present = pq.read_schema(spec.data).names
    if spec.image_column not in present:
        read_columns(spec.data, [spec.image_column])  # Refuses it with the names there are.
    names = next((name for name in NAME_COLUMNS if name in present), None)
    wanted = [spec.target_column, column, names if names != spec.image_column else None]
    return read_columns(spec.data, list(dict.fromkeys(name for name in wanted if name)))


def _kind(spec: ImageSpec) -> pa.DataType:
    return pq.read_schema(spec.data).field(spec.image_column).type


def _names(table: pa.Table, rows: npt.NDArray[np.int64]) -> list[str]:
    column = next((name for name in NAME_COLUMNS if name in table.column_names), None)
    found = as_strings(table, column) if column else [None] * len(rows)
    return [name or f"picture {row + 1}" for name, row in zip(found, rows, strict=True)]


def _decode_all(
    spec: ImageSpec,
    look: Preprocessing,
    wanted: npt.NDArray[np.int64],
    advance: Callable[[float], None],
) -> tuple[Pixels, list[str]]:
    """Pixels and digest of each wanted row; an empty digest for what cannot be looked at."""
    spec.work.mkdir(parents=True, exist_ok=True)
    shape = (max(1, len(wanted)), look.side, look.side, 3)
    pixels = np.lib.format.open_memmap(
        _pixel_file(spec.work), mode="w+", dtype=np.uint8, shape=shape
    )
    place_of = {int(row): place for place, row in enumerate(wanted)}
    digests = [""] * len(wanted)

    def decode(place_and_content: tuple[int, bytes | None]) -> None:
        place, content = place_and_content
        if content is None:
            return
        try:
            pixels[place] = look.pixels(content)
        except NotAPicture:
            return
        digests[place] = hashlib.sha256(content).hexdigest()

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        first = 0
        for batch in pq.ParquetFile(spec.data).iter_batches(
            batch_size=ROWS_AT_ONCE, columns=[spec.image_column]
        ):
            rows = range(first, first + len(batch))
            contents = batch.column(0)
            todo = [
                (place_of[row], contents[row - first].as_py()) for row in rows if row in place_of
            ]
            list(threads.map(decode, todo))
            first += len(batch)
            advance(first / max(first, int(wanted.max(initial=0)) + 1))
    return pixels, digests


def _pixel_file(work: Path) -> Path:
    return work / "pixels.npy"


def _refuse_unlearnable(spec: ImageSpec, counts: Counter[str]) -> None:
    rows, target = sum(counts.values()), spec.target_column
    if rows < FEWEST_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            f"Only {rows} rows have both a picture and a label; at least {FEWEST_ROWS} are needed."
            f" Check that {spec.image_column} and {target} are the right columns.",
        )
    if len(counts) < 2:
        (only,) = counts
        raise BadTrainingData(
            "too_few_labels",
            f"Every picture has the same label, {only!r}, in column {target!r}."
            " A classifier needs at least two labels to choose between.",
        )
    if len(counts) > min(MOST_LABELS, rows // 2):
        raise BadTrainingData(
            "too_many_labels",
            f"Column {target!r} has {len(counts):,} different labels for {rows:,} pictures; each"
            " needs several. Choose another target column.",
        )


def _warnings(spec: ImageSpec, rows: int, labelled: int, usable: int) -> list[str]:
    warnings = []
    if labelled < rows:
        warnings.append(f"{rows - labelled:,} rows have no {spec.target_column}: skipped.")
    if usable < labelled:
        warnings.append(f"{labelled - usable:,} rows have no readable picture: skipped.")
    return warnings
