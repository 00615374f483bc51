"""Reads the data as a job with this spec would, and says what it would learn or why it would not.

Import, launch and estimate ask this before a job is queued; the job itself runs the same readers.
Nothing here loads torch.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from engine.data.splitting import Split, split_rows
from engine.data.text_examples import read_as_strings, read_examples, split_examples
from engine.errors import BadTrainingData
from engine.spec import ImageSpec, TabularSpec, TextSpec, TrainingSpec
from engine.spec.frozen import FrozenModel
from engine.tasks.generation.chats import read_chats, split_chats
from engine.tasks.image.data.labels import (
    read_labelled_rows,
    require_usable_split,
    validate_labels,
)
from engine.tasks.tabular.features import infer_features
from engine.tasks.tabular.reader import read_table, split_table

INSPECTION_VERSION = 3  # Raise it when readers change what they accept: old results are made anew.
MAX_LISTED_LABELS = 1000
BATCH_ROWS = 64


class LabelCount(FrozenModel):
    label: str
    count: int


class DataProblem(FrozenModel):
    """Why a job would fail: a code for programs, a sentence for people."""

    code: str
    sentence: str


class Inspection(FrozenModel):
    """What a job would learn from. With a `refusal` the other fields are empty."""

    kind: Literal["label", "labels", "number", "chat", ""] = ""
    rows: int = 0  # Usable rows.
    train_rows: int = 0
    validation_rows: int = 0
    test_rows: int = 0
    labels: list[LabelCount] = []  # With their rows, the most frequent first.
    warnings: list[str] = []
    refusal: DataProblem | None = None


def inspect_data(spec: TrainingSpec) -> Inspection:
    """What the readers of the spec's task make of its data file; they never raise here."""
    try:
        if isinstance(spec, TextSpec):
            examples = read_examples(spec)
            split = split_examples(examples, spec)
            truth = examples.truth
            return _describe(
                truth.kind, len(examples.rows), split, truth.label_counts(), examples.warnings
            )
        if isinstance(spec, TabularSpec):
            return _inspect_table(spec)
        if isinstance(spec, ImageSpec):
            return _inspect_images(spec)
        chats = read_chats(spec)
        return _describe("chat", len(chats.rows), split_chats(chats, spec), [], chats.warnings)
    except BadTrainingData as problem:
        return Inspection(refusal=DataProblem(code=problem.detail, sentence=problem.sentence))


def inspection_key(spec: TrainingSpec) -> str:
    """Equal for specs that read the same data in the same way: columns, split, label notation."""
    hyperparameters = spec.hyperparameters
    read = {
        "version": INSPECTION_VERSION,
        "task": spec.task,
        "columns": {
            role.field: role.columns_in({role.field: getattr(spec, role.field)})
            for role in spec.roles
            if role.field != "fairness_columns"
        },
        "split": spec.effective_split.model_dump(),
        "labels": [
            getattr(hyperparameters, name, None) for name in ("labels_per_row", "label_separator")
        ],
    }
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


def _inspect_table(spec: TabularSpec) -> Inspection:
    table = read_table(spec)
    split = split_table(table, spec)
    _, left_out = infer_features(table.columns, table.names, split.train.tolist())
    counts = [] if table.labels is None else np.bincount(table.labels).tolist()
    named = zip(table.label_names, counts, strict=True)
    labels = sorted(named, key=lambda one: (-one[1], one[0]))
    kind: Literal["label", "number"] = "number" if table.labels is None else "label"
    return _describe(kind, len(table.rows), split, labels, [*table.warnings, *left_out])


def _inspect_images(spec: ImageSpec) -> Inspection:
    """Images are compared by their bytes, as in training, but not decoded: the import did that."""
    columns, targets, rows = read_labelled_rows(spec)
    names = [str(targets[row]) for row in rows]
    unique, labels, counts = np.unique(names, return_inverse=True, return_counts=True)
    label_names = [str(name) for name in unique]
    counted = dict(zip(label_names, counts.tolist(), strict=True))
    validate_labels(spec, counted)
    digests = _digest_images(spec)
    column = spec.effective_split.column
    values = read_as_strings(columns, column) if column else None
    split = split_rows(
        [digests[row] for row in rows],
        labels.tolist(),
        spec.effective_split,
        [values[row] for row in rows] if values else None,
    )
    require_usable_split(split, labels, label_names)
    missing = len(targets) - len(rows)
    warnings = (
        [
            f"{'1 row has no' if missing == 1 else f'{missing:,} rows have no'}"
            f" {spec.target_column}: skipped."
        ]
        if missing
        else []
    )
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return _describe("label", len(rows), split, ordered, warnings)


def _digest_images(spec: ImageSpec) -> list[str]:
    batches = pq.ParquetFile(spec.data).iter_batches(BATCH_ROWS, columns=[spec.image_column])
    return [
        hashlib.sha256(content.as_py() or b"").hexdigest()
        for batch in batches
        for content in batch.column(0)
    ]


def _describe(
    kind: Literal["label", "labels", "number", "chat"],
    rows: int,
    split: Split,
    labels: Iterable[tuple[str, int]],
    warnings: list[str],
) -> Inspection:
    counted = [LabelCount(label=label, count=count) for label, count in labels]
    return Inspection(
        kind=kind,
        rows=rows,
        train_rows=len(split.train),
        validation_rows=len(split.validation),
        test_rows=len(split.test),
        labels=counted[:MAX_LISTED_LABELS],
        warnings=[*warnings, *split.warnings],
    )
