"""Uses a finished artifact: predicts; for text models also evaluates new rows and exports again."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import artifact, serving
from engine.artifact import Manifest
from engine.errors import BadTrainingData
from engine.serving.answers import Answer

if TYPE_CHECKING:
    from engine.prediction_heads import PredictionHead


def predict(folder: Path, rows: list[Any]) -> Iterator[Answer]:
    """The served file's answer to each row; rows have the form that the manifest describes."""
    yield from serving.load_model(folder).answer(rows)


def evaluate_artifact(folder: Path, data: Path) -> dict[str, object]:
    """Metrics of the served file on other labelled rows; rows with unknown labels are refused."""
    import numpy as np

    from engine.evaluation.answer_types import get_answer_type
    from engine.serving.text import compute_all_outputs, open_model

    manifest = artifact.verify(folder)
    texts, head = _load_labelled_texts(manifest, data)
    model = open_model(folder, manifest=manifest)
    outputs = compute_all_outputs(model, model.encode(texts))
    predictions = head.build_predictions(outputs, np.arange(len(texts)))
    return {"rows": len(texts), "metrics": get_answer_type(predictions).measure(predictions, None)}


def reexport_onnx(folder: Path, output: Path, data: Path) -> dict[str, object]:
    """Export a trained network to ONNX again, checked on the rows of `data`."""
    import numpy as np

    from engine.export.parity import HeldOutRows, export_ngrams, export_onnx
    from engine.serving.text import open_model
    from engine.tasks.text.contenders.ngrams import load_ngrams
    from engine.tasks.text.network import load_network

    manifest = artifact.verify(folder)
    texts, head = _load_labelled_texts(manifest, data)
    encoded = open_model(folder, manifest=manifest).encode(texts)
    output.mkdir(parents=True, exist_ok=True)
    rows = HeldOutRows(encoded, np.arange(len(texts)), head)
    if manifest.training.get("method") == "ngrams":
        served, parity = export_ngrams(load_ngrams(folder), output, rows)
    else:
        served, parity = export_onnx(load_network(folder), output, rows)
    return {"served": served, "parity": parity}


def _load_labelled_texts(manifest: Manifest, data: Path) -> tuple[list[str], "PredictionHead"]:
    """The texts of a file, and the model's prediction head with their true answers."""
    from engine.data.text_examples import join_text_columns, read_as_strings, read_columns

    if manifest.inputs.kind != "text":
        raise BadTrainingData("bad_task", f"Not for models of the task {manifest.task}.")
    column = manifest.target.column or ""
    table = read_columns(data, [*manifest.inputs.columns, column])
    texts = join_text_columns(table, manifest.inputs.columns)
    targets = read_as_strings(table, column)
    pairs = [(text, cell) for text, cell in zip(texts, targets, strict=True) if text and cell]
    if not pairs:
        raise BadTrainingData("too_few_rows", "No row has both a text and a label.")
    return [text for text, _ in pairs], _build_prediction_head(
        manifest, [cell for _, cell in pairs]
    )


def _build_prediction_head(manifest: Manifest, cells: list[str]) -> "PredictionHead":
    """The model's own prediction head with the true answers of other rows."""
    import numpy as np

    from engine.prediction_heads import MultiClass, MultiLabel, Regression

    rows, target = np.arange(len(cells)), manifest.target
    if target.kind == "number":
        number = Regression(np.array([_parse_number(cell) for cell in cells]), rows)
        number.mean, number.deviation = target.mean, target.deviation
        return number
    if target.kind == "labels":
        head = MultiLabel(
            _parse_label_flags(manifest, cells), manifest.labels, rows, smoothing=0, balanced=False
        )
        head.thresholds = np.array(target.thresholds)
        return head
    index_of = {label: index for index, label in enumerate(manifest.labels)}
    truth = np.array([_label_index(index_of, cell, manifest) for cell in cells], dtype=np.int64)
    return MultiClass(truth, manifest.labels, rows, smoothing=0, balanced=False)


def _parse_label_flags(manifest: Manifest, cells: list[str]) -> Any:
    import numpy as np

    from engine.data.multilabel_parsing import parse_label_cells

    separator = manifest.training.get("hyperparameters", {}).get("label_separator", "")
    sets = parse_label_cells(cells, "several", separator)
    index_of = {label: index for index, label in enumerate(manifest.labels)}
    flags = np.zeros((len(cells), len(manifest.labels)), dtype=bool)
    for row, labels in enumerate(sets.labels if sets else []):
        flags[row, [_label_index(index_of, label, manifest) for label in labels]] = True
    return flags


def _label_index(index_of: dict[str, int], label: str, manifest: Manifest) -> int:
    if label not in index_of:
        raise BadTrainingData(
            "unknown_label",
            f"The model does not know the label {label!r} in {manifest.target.column!r}.",
        )
    return index_of[label]


def _parse_number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise BadTrainingData("not_numbers", f"{cell!r} is not a number.") from None
