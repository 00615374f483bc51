"""Reads images and their labels from Parquet, a few at a time, into one array on disk."""

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from engine.data.text_examples import read_as_strings
from engine.spec import ImageSpec
from engine.tasks.image.data.decoding import InvalidImage
from engine.tasks.image.data.labels import NAME_COLUMNS, read_labelled_rows, validate_labels
from engine.tasks.image.data.preprocessing import Pixels, Preprocessing

BATCH_ROWS = 64


@dataclass(frozen=True)
class ImageDataset:
    """Usable rows. `rows` are their numbers in the file, from 0; `labels` index `label_names`."""

    rows: npt.NDArray[np.int64]
    pixels: Pixels  # (rows, side, side, 3), mapped from disk.
    labels: npt.NDArray[np.int64]
    label_names: list[str]
    names: list[str]  # File names, to show to people.
    digests: list[str]  # Equal for equal images.
    split_values: list[str | None] | None
    warnings: list[str]


def read_images(
    spec: ImageSpec, transform: Preprocessing, advance: Callable[[float], None] = lambda share: None
) -> ImageDataset:
    """Every row with a readable image and a label. Raises BadTrainingData for useless data."""
    other_columns, targets, labelled = read_labelled_rows(spec)
    pixels, digests = _decode_all(spec, transform, labelled, advance)
    readable = np.asarray([index for index, one in enumerate(digests) if one], dtype=np.int64)
    rows = labelled[readable]
    row_labels = [str(targets[row]) for row in rows]
    validate_labels(spec, Counter(row_labels))
    label_names = sorted(set(row_labels))
    index_of = {name: index for index, name in enumerate(label_names)}
    usable = other_columns.take(pa.array(rows))
    column = spec.effective_split.column
    return ImageDataset(
        rows=rows,
        pixels=pixels if len(readable) == len(digests) else pixels[readable],
        labels=np.asarray([index_of[name] for name in row_labels], dtype=np.int64),
        label_names=label_names,
        names=_display_names(usable, rows),
        digests=[digests[index] for index in readable],
        split_values=read_as_strings(usable, column) if column else None,
        warnings=_warnings(spec, len(targets), len(labelled), len(rows)),
    )


def _display_names(table: pa.Table, rows: npt.NDArray[np.int64]) -> list[str]:
    column = next((name for name in NAME_COLUMNS if name in table.column_names), None)
    names = read_as_strings(table, column) if column else [None] * len(rows)
    return [name or f"picture {row + 1}" for name, row in zip(names, rows, strict=True)]


def _decode_all(
    spec: ImageSpec,
    transform: Preprocessing,
    rows: npt.NDArray[np.int64],
    advance: Callable[[float], None],
) -> tuple[Pixels, list[str]]:
    """Pixels, in a file under the work folder, and digest of each of these rows; an empty digest
    for what cannot be decoded."""
    spec.work.mkdir(parents=True, exist_ok=True)
    pixels = np.lib.format.open_memmap(
        spec.work / "pixels.npy",
        mode="w+",
        dtype=np.uint8,
        shape=(max(1, len(rows)), transform.side, transform.side, 3),
    )
    index_of = {int(row): index for index, row in enumerate(rows)}
    digests = [""] * len(rows)

    def decode(indexed_content: tuple[int, bytes | None]) -> None:
        index, content = indexed_content
        if content is None:
            return
        try:
            pixels[index] = transform.pixels(content)
        except InvalidImage:
            return
        digests[index] = hashlib.sha256(content).hexdigest()

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        first = 0
        for batch in pq.ParquetFile(spec.data).iter_batches(
            batch_size=BATCH_ROWS, columns=[spec.image_column]
        ):
            contents = batch.column(0)
            todo = [
                (index_of[row], contents[row - first].as_py())
                for row in range(first, first + len(batch))
                if row in index_of
            ]
            list(threads.map(decode, todo))
            first += len(batch)
            advance(first / max(first, int(rows.max(initial=0)) + 1))
    return pixels, digests


def _warnings(spec: ImageSpec, rows: int, labelled: int, usable: int) -> list[str]:
    warnings = []
    if missing := rows - labelled:
        warnings.append(
            f"{'1 row has' if missing == 1 else f'{missing:,} rows have'} no {spec.target_column}:"
            " skipped."
        )
    if unreadable := labelled - usable:
        warnings.append(
            f"{'1 row has' if unreadable == 1 else f'{unreadable:,} rows have'} no readable"
            " picture: skipped."
        )
    return warnings
