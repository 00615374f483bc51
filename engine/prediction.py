"""Works on a finished artifact: predict; text models also evaluate new rows and export again."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import artifact, serving
from engine.artifact import Manifest
from engine.errors import BadTrainingData

if TYPE_CHECKING:
    from engine.goals import Goal


def predict(folder: Path, rows: list[Any]) -> Iterator[dict[str, Any]]:
    """The served file's answer to each row, in the form the manifest's inputs have."""
    yield from serving.load(folder).answer(rows)


def evaluate(folder: Path, data: Path) -> dict[str, Any]:
    """Metrics of the served file on other labelled rows; rows with unknown labels are refused."""
    import numpy as np

    from engine.evaluation.kinds import kind_of
    from engine.serving.text import open_model, outputs_of_all

    manifest = artifact.verify(folder)
    texts, goal = _labelled(manifest, data)
    model = open_model(folder, manifest=manifest)
    outputs = outputs_of_all(model, model.encode(texts))
    given = goal.answers(outputs, np.arange(len(texts)))
    return {"rows": len(texts), "metrics": kind_of(given).measure(given, None)}


def export_again(folder: Path, output: Path, data: Path) -> dict[str, Any]:
    """Write the ONNX files of a trained network anew, checked on the rows of `data`."""
    import numpy as np

    from engine.exporting import HeldOutRows, export
    from engine.network import load_network
    from engine.serving.text import open_model

    manifest = artifact.verify(folder)
    texts, goal = _labelled(manifest, data)
    encoded = open_model(folder, manifest=manifest).encode(texts)
    output.mkdir(parents=True, exist_ok=True)
    rows = HeldOutRows(encoded, np.arange(len(texts)), goal)
    served, parity = export(load_network(folder), output, rows)
    return {"served": served, "parity": parity}


def _labelled(manifest: Manifest, data: Path) -> tuple[list[str], "Goal"]:
    """The texts of a file and, as the model's goal sees it, their truth."""
    from engine.examples import as_strings, joined_texts, read_columns

    if manifest.inputs.kind != "text":
        raise BadTrainingData("bad_task", f"Not for models of the task {manifest.task}.")
    column = manifest.target.column or ""
    table = read_columns(data, [*manifest.inputs.columns, column])
    texts = joined_texts(table, manifest.inputs.columns)
    targets = as_strings(table, column)
    pairs = [(text, cell) for text, cell in zip(texts, targets, strict=True) if text and cell]
    if not pairs:
        raise BadTrainingData("too_few_rows", "No row has both a text and a label.")
    return [text for text, _ in pairs], _goal(manifest, [cell for _, cell in pairs])


def _goal(manifest: Manifest, cells: list[str]) -> "Goal":
    """The model's own goal with the truth of other rows."""
    import numpy as np

    from engine.goals import Number, OneLabel, SeveralLabels

    rows, target = np.arange(len(cells)), manifest.target
    if target.kind == "number":
        number = Number(np.array([_number(cell) for cell in cells]), rows)
        number.mean, number.deviation = target.mean, target.deviation
        return number
    if target.kind == "labels":
        goal = SeveralLabels(
            _flags(manifest, cells), manifest.labels, rows, smoothing=0, balanced=False
        )
        goal.thresholds = np.array(target.thresholds)
        return goal
    index_of = {label: index for index, label in enumerate(manifest.labels)}
    truth = np.array([_known(index_of, cell, manifest) for cell in cells], dtype=np.int64)
    return OneLabel(truth, manifest.labels, rows, smoothing=0, balanced=False)


def _flags(manifest: Manifest, cells: list[str]) -> Any:
    import numpy as np

    from engine.label_cells import read_label_sets

    separator = manifest.training.get("hyperparameters", {}).get("label_separator", "")
    sets = read_label_sets(cells, "several", separator)
    index_of = {label: index for index, label in enumerate(manifest.labels)}
    flags = np.zeros((len(cells), len(manifest.labels)), dtype=bool)
    for row, labels in enumerate(sets.labels if sets else []):
        flags[row, [_known(index_of, label, manifest) for label in labels]] = True
    return flags


def _known(index_of: dict[str, int], label: str, manifest: Manifest) -> int:
    if label not in index_of:
        raise BadTrainingData(
            "unknown_label",
            f"The model does not know the label {label!r} in {manifest.target.column!r}.",
        )
    return index_of[label]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise BadTrainingData("not_numbers", f"{cell!r} is not a number.") from None
