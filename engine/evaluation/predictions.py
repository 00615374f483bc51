"""The answers on the test rows as one Parquet file, and back: reports are computed again from it.

Columns of every task: row (number in the data file, from 0), key (hash of what was asked), text,
label, predicted. Labels add probability, correct and probabilities; numbers error; texts loss,
tokens and rougeL. What the columns mean stands in the schema's metadata under `lathe`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BrokenArtifact
from engine.evaluation.kinds import kind_of
from engine.evaluation.labels import joined
from engine.evaluation.rows import Given, TestRows
from engine.metrics.shapes import Answers, Generations, LabelSets, Numbers, answers, label_sets

FILE = "predictions.parquet"
ABOUT = b"lathe"
FORMAT = 2


@dataclass(frozen=True)
class Predictions:
    """The file read back."""

    given: Given
    rows: TestRows
    keys: list[str]


def write_predictions(path: Path, given: Given, rows: TestRows) -> None:
    pq.write_table(predictions_table(given, rows), path)


def predictions_table(given: Given, rows: TestRows) -> pa.Table:
    """One line per test row."""
    columns = {"row": rows.source_rows, "key": rows.keys, "text": rows.texts, **_own(given, rows)}
    about: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind_of(given).name,
        "labels": rows.label_names,
    }
    if isinstance(given, LabelSets):
        about["thresholds"] = given.thresholds.tolist()
    return pa.table(columns).replace_schema_metadata({ABOUT: json.dumps(about).encode()})


def _own(given: Given, rows: TestRows) -> dict[str, Any]:
    if isinstance(given, Answers):
        return _single_label(given, rows.label_names)
    if isinstance(given, LabelSets):
        return _multi_label(given, rows.label_names)
    if isinstance(given, Numbers):
        return {"label": given.true, "predicted": given.predicted, "error": given.errors}
    return _texts(given)


def _single_label(given: Answers, names: list[str]) -> dict[str, Any]:
    return {
        "label": [names[label] for label in given.true],
        "predicted": [names[label] for label in given.predicted],
        "probability": given.confidence,
        "correct": given.true == given.predicted,
        "probabilities": _lists(given.probabilities),
    }


def _multi_label(given: LabelSets, names: list[str]) -> dict[str, Any]:
    return {
        "label": [joined(names, row) for row in given.true],
        "predicted": [joined(names, row) for row in given.predicted],
        "correct": (given.true == given.predicted).all(axis=1),
        "label_flags": _lists(given.true.astype(np.float32)),
        "probabilities": _lists(given.probabilities),
    }


def _texts(given: Generations) -> dict[str, Any]:
    columns: dict[str, Any] = {"label": given.references, "predicted": given.outputs}
    if given.losses is not None and given.tokens is not None:
        columns |= {"loss": given.losses, "tokens": given.tokens}
    return columns


def _lists(rows: Any) -> pa.Array:
    flat = np.ascontiguousarray(rows, dtype=np.float32).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), rows.shape[1])


def read_predictions(path: Path) -> Predictions:
    """Raises BrokenArtifact for a file that cannot be read back."""
    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {}).get(ABOUT, b"{}"))
    if about.get("format") != FORMAT:
        raise BrokenArtifact("The predictions of this model were stored by an older version.")
    names = list(about["labels"])
    rows = TestRows(
        texts=table["text"].to_pylist(),
        lengths=[],
        source_rows=table["row"].to_pylist(),
        label_names=names,
    )
    return Predictions(_given(table, about, names), rows, table["key"].to_pylist())


def _given(table: pa.Table, about: dict[str, Any], names: list[str]) -> Given:
    if about["kind"] == "classification":
        index_of = {name: index for index, name in enumerate(names)}
        true = [index_of[label] for label in table["label"].to_pylist()]
        return answers(true, _matrix(table, "probabilities", len(names)))
    if about["kind"] == "multilabel":
        true = _matrix(table, "label_flags", len(names)) > 0.5
        return label_sets(true, _matrix(table, "probabilities", len(names)), about["thresholds"])
    if about["kind"] == "regression":
        return Numbers(table["label"].to_numpy(), table["predicted"].to_numpy())
    has_loss = "loss" in table.column_names
    return Generations(
        table["label"].to_pylist(),
        table["predicted"].to_pylist(),
        table["loss"].to_numpy() if has_loss else None,
        table["tokens"].to_numpy() if has_loss else None,
    )


def _matrix(table: pa.Table, column: str, width: int) -> Any:
    flat = table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, width)
