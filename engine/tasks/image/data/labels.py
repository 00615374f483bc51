"""Reads the labels of a table of images, and checks them, without decoding an image."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.data.splitting import Indices, Split, find_untrained_label
from engine.data.text_examples import read_as_strings, read_columns
from engine.errors import BadTrainingData
from engine.spec import ImageSpec

MIN_ROWS = 10
MAX_LABELS = 1000
NAME_COLUMNS = ("file", "filename", "file_name", "path", "name")


def read_labelled_rows(spec: ImageSpec) -> tuple[pa.Table, list[str | None], Indices]:
    """Every column but the image, each row's label, and the rows that have one.

    Raises BadTrainingData when the image column holds something else.
    """
    other_columns = _read_other_columns(spec)
    targets = read_as_strings(other_columns, spec.target_column)
    labelled = np.asarray([row for row, target in enumerate(targets) if target], dtype=np.int64)
    kind = pq.read_schema(spec.data).field(spec.image_column).type
    if not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
        raise BadTrainingData(
            "not_pictures",
            f"Column {spec.image_column!r} holds no pictures. Upload a zip archive of pictures.",
        )
    return other_columns, targets, labelled


def _read_other_columns(spec: ImageSpec) -> pa.Table:
    """Everything needed of the rows but the images."""
    present = pq.read_schema(spec.data).names
    if spec.image_column not in present:
        read_columns(spec.data, [spec.image_column])  # Refuses it with the names there are.
    display = next((name for name in NAME_COLUMNS if name in present), None)
    if display == spec.image_column:
        display = None
    columns = [spec.target_column, spec.effective_split.column, display]
    return read_columns(spec.data, list(dict.fromkeys(name for name in columns if name)))


def validate_labels(spec: ImageSpec, counts: Mapping[str, int]) -> None:
    """Raises BadTrainingData when no classifier can learn these labels."""
    rows, target = sum(counts.values()), spec.target_column
    if rows < MIN_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            f"Only {'1 row has both' if rows == 1 else f'{rows} rows have both'}"
            f" a picture and a label; at least {MIN_ROWS} are needed."
            f" Check that {spec.image_column} and {target} are the right columns.",
        )
    if len(counts) < 2:
        (only,) = counts
        raise BadTrainingData(
            "too_few_labels",
            f"Every picture has the same label, {only!r}, in column {target!r}."
            " A classifier needs at least two labels to choose between.",
        )
    if len(counts) > min(MAX_LABELS, rows // 2):
        raise BadTrainingData(
            "too_many_labels",
            f"Column {target!r} has {len(counts):,} different labels for {rows:,} pictures; each"
            " needs several. Choose another target column.",
        )


def require_usable_split(split: Split, labels: Indices, label_names: Sequence[str]) -> None:
    """Raise BadTrainingData when nothing is left for the test, or a label has no training rows."""
    if not len(split.test):
        raise BadTrainingData(
            "too_few_rows",
            "No pictures could be set aside for the test: too few different ones. Add pictures.",
        )
    label = find_untrained_label(split, labels, label_names)
    if label is not None:
        raise BadTrainingData(
            "untaught_label",
            f"The label {label!r} has no training pictures: all of them are set aside for"
            " validation or test. Change the split, or add pictures of it.",
        )
