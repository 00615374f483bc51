"""What every threshold would do on a classifier's test rows: exact counts, read from the artifact.

A threshold acts on one label (answer it when its probability reaches the threshold) or, of models
with one label a row, on all of them (answer only when the likeliest label reaches it).
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from training.artifacts.storage import fetch_predictions
from training.models import TrainedModel

STEPS = 100  # Thresholds 0, 0.01, … 1.
METADATA_KEY = b"lathe"  # Of the file that engine.evaluation.predictions writes.
COLUMNS = ("label", "predicted", "label_flags", "probabilities")


@dataclass(frozen=True)
class ThresholdCounts:
    """Rows that are answered rightly, answered wrongly and missed, at each threshold.

    Missed are rows of the label that are not answered so; of all labels, rows that get no answer.
    """

    label: str  # Empty: all labels together.
    labels: list[str]
    can_ask_all: bool
    rows: int
    points: list[tuple[int, int, int]]  # Right, wrong, missed; STEPS + 1 of them.
    served: float | None  # The threshold that answers are given by now; None: the likeliest wins.


@dataclass(frozen=True)
class _TestAnswers:
    labels: list[str]
    true: npt.NDArray[np.bool_]  # Rows by labels.
    probabilities: npt.NDArray[np.float32]  # Rows by labels.
    thresholds: list[float] | None  # Of a model that gives several labels.


def count_by_threshold(model: TrainedModel, label: str) -> ThresholdCounts | None:
    """Counts of one label, or of all of them for an empty or unknown one, where that has a sense.

    None when the artifact holds no probabilities.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_predictions(model, Path(folder))
        answers = _read_answers(path) if path else None
    if answers is None:
        return None
    can_ask_all = answers.thresholds is None
    if label not in answers.labels:
        label = "" if can_ask_all else answers.labels[0]
    place = answers.labels.index(label) if label else None
    return ThresholdCounts(
        label=label,
        labels=answers.labels,
        can_ask_all=can_ask_all,
        rows=len(answers.true),
        points=_count_all(answers) if place is None else _count_label(answers, place),
        served=answers.thresholds[place] if answers.thresholds and place is not None else None,
    )


def _read_answers(path: Path) -> _TestAnswers | None:
    """None for numbers, texts, and what an older version stored."""
    schema = pq.read_schema(path)
    about = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if "probabilities" not in schema.names or not about.get("labels"):
        return None
    table = pq.read_table(path, columns=[name for name in COLUMNS if name in schema.names])
    labels = [str(label) for label in about["labels"]]
    if "label_flags" in schema.names:
        true = _as_matrix(table["label_flags"], len(labels)) > 0
    else:
        true = np.array(table["label"].to_pylist())[:, None] == np.array(labels)
    return _TestAnswers(
        labels, true, _as_matrix(table["probabilities"], len(labels)), about.get("thresholds")
    )


def _as_matrix(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix: npt.NDArray[np.float32] = np.asarray(flat, dtype=np.float32).reshape(-1, width)
    return matrix


def _count_label(answers: _TestAnswers, place: int) -> list[tuple[int, int, int]]:
    scores, positive = answers.probabilities[:, place], answers.true[:, place]
    right, wrong = _reaching(scores[positive]), _reaching(scores[~positive])
    total = int(positive.sum())
    return [(int(r), int(w), total - int(r)) for r, w in zip(right, wrong, strict=True)]


def _count_all(answers: _TestAnswers) -> list[tuple[int, int, int]]:
    chosen = answers.probabilities.argmax(axis=1)
    rows = np.arange(len(chosen))
    scores, correct = answers.probabilities[rows, chosen], answers.true[rows, chosen]
    right, wrong = _reaching(scores[correct]), _reaching(scores[~correct])
    return [
        (int(r), int(w), len(rows) - int(r) - int(w)) for r, w in zip(right, wrong, strict=True)
    ]


def _reaching(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """How many reach each threshold."""
    thresholds = (np.arange(STEPS + 1) / STEPS).astype(np.float32)
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    counts: npt.NDArray[np.int64] = len(scores) - below
    return counts
