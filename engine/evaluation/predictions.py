"""Writes the predictions on the test rows to one Parquet file and reads them back.

Columns of every task: row (number in the data file, from 0), key (hash of the input), text, label,
predicted. Labels add probability, correct and probabilities; numbers add error; texts add loss and
tokens. The type of the predictions is in the schema's metadata under `lathe`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BrokenArtifact
from engine.evaluation.answer_types import get_answer_type
from engine.evaluation.classification_report import join_label_names
from engine.evaluation.rows import ModelPredictions, TestRows
from engine.evaluation.schema import AnswerTypeName
from engine.metrics.shapes import (
    Bools,
    Floats,
    GenerationPredictions,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
    make_multiclass_predictions,
    make_multilabel_predictions,
)

PREDICTIONS_FILE = "predictions.parquet"
METADATA_KEY = b"lathe"
PREDICTIONS_FORMAT = 2


class _Metadata(TypedDict):
    format: int
    kind: AnswerTypeName
    labels: list[str]
    thresholds: NotRequired[list[float]]


@dataclass(frozen=True)
class StoredPredictions:
    """What the file holds."""

    predictions: ModelPredictions
    rows: TestRows
    keys: list[str]


def write_predictions(path: Path, predictions: ModelPredictions, rows: TestRows) -> None:
    pq.write_table(predictions_table(predictions, rows), path)


def predictions_table(predictions: ModelPredictions, rows: TestRows) -> pa.Table:
    """One row of the table for each test row."""
    columns = {
        "row": rows.source_rows,
        "key": rows.keys,
        "text": rows.texts,
        **_prediction_columns(predictions, rows),
    }
    about: _Metadata = {
        "format": PREDICTIONS_FORMAT,
        "kind": get_answer_type(predictions).name,
        "labels": rows.label_names,
    }
    if isinstance(predictions, MultilabelPredictions):
        about["thresholds"] = predictions.thresholds.tolist()
    return pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(about).encode()})


def _prediction_columns(predictions: ModelPredictions, rows: TestRows) -> dict[str, object]:
    names = rows.label_names
    if isinstance(predictions, MulticlassPredictions):
        return {
            "label": [names[label] for label in predictions.true],
            "predicted": [names[label] for label in predictions.predicted],
            "probability": predictions.confidence,
            "correct": predictions.true == predictions.predicted,
            "probabilities": _make_list_array(predictions.probabilities),
        }
    if isinstance(predictions, MultilabelPredictions):
        return {
            "label": [join_label_names(names, row) for row in predictions.true],
            "predicted": [join_label_names(names, row) for row in predictions.predicted],
            "correct": (predictions.true == predictions.predicted).all(axis=1),
            "label_flags": _make_list_array(predictions.true),
            "probabilities": _make_list_array(predictions.probabilities),
        }
    if isinstance(predictions, RegressionPredictions):
        return {
            "label": predictions.true,
            "predicted": predictions.predicted,
            "error": predictions.errors,
        }
    columns: dict[str, object] = {"label": predictions.references, "predicted": predictions.outputs}
    if predictions.losses is not None and predictions.tokens is not None:
        columns |= {"loss": predictions.losses, "tokens": predictions.tokens}
    return columns


def _make_list_array(matrix: Floats | Bools) -> pa.Array:
    flat = np.ascontiguousarray(matrix, dtype=np.float32).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), matrix.shape[1])


def read_predictions(path: Path) -> StoredPredictions:
    """Raises BrokenArtifact for a file of an older version."""
    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if about.get("format") != PREDICTIONS_FORMAT:
        raise BrokenArtifact("The predictions of this model were stored by an older version.")
    names = list(about["labels"])
    rows = TestRows(
        texts=table["text"].to_pylist(),
        lengths=[],
        source_rows=table["row"].to_pylist(),
        label_names=names,
    )
    return StoredPredictions(
        _read_model_predictions(table, about, names), rows, table["key"].to_pylist()
    )


def _read_model_predictions(
    table: pa.Table, about: _Metadata, names: list[str]
) -> ModelPredictions:
    if about["kind"] == "classification":
        index_of = {name: index for index, name in enumerate(names)}
        true = [index_of[label] for label in table["label"].to_pylist()]
        return make_multiclass_predictions(true, _read_matrix(table, "probabilities", len(names)))
    if about["kind"] == "multilabel":
        return make_multilabel_predictions(
            _read_matrix(table, "label_flags", len(names)) > 0.5,
            _read_matrix(table, "probabilities", len(names)),
            about["thresholds"],
        )
    if about["kind"] == "regression":
        return RegressionPredictions(table["label"].to_numpy(), table["predicted"].to_numpy())
    has_loss = "loss" in table.column_names
    return GenerationPredictions(
        table["label"].to_pylist(),
        table["predicted"].to_pylist(),
        table["loss"].to_numpy() if has_loss else None,
        table["tokens"].to_numpy() if has_loss else None,
    )


def _read_matrix(table: pa.Table, column: str, width: int) -> npt.NDArray[np.float32]:
    flat: npt.NDArray[np.float32] = (
        table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    )
    return flat.reshape(-1, width)
