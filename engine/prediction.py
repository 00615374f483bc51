"""Works on a finished artifact: predict, evaluate on new rows, export again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine import artifact, serving
from engine.artifact import Manifest
from engine.errors import BadTrainingData
from engine.examples import as_strings, joined_texts, read_columns
from engine.serving import TextClassifier, predict_all


def predict(folder: Path, rows: list[Any]) -> Iterator[dict[str, Any]]:
    """The served file's answer to each row, in the form the manifest's inputs have."""
    yield from serving.load(folder).answer(rows)


def evaluate(folder: Path, data: Path) -> dict[str, Any]:
    """Metrics of the served file on other labelled rows; rows with unknown labels are refused."""
    from engine.metrics import answers, measure, per_class

    manifest = artifact.verify(folder)
    texts, targets = _labelled(manifest, data)
    index_of = {label: index for index, label in enumerate(manifest.labels)}
    unknown = sorted({target for target in targets if target not in index_of})
    if unknown:
        raise BadTrainingData(
            "unknown_label",
            f"The model does not know the label {unknown[0]!r} in {manifest.target.column!r}.",
        )
    classifier = TextClassifier(folder)
    probabilities = predict_all(classifier, classifier.encode(texts))
    given = answers([index_of[target] for target in targets], probabilities)
    return {
        "rows": len(texts),
        "metrics": measure(given),
        "per_class": per_class(given, manifest.labels),
    }


def _labelled(manifest: Manifest, data: Path) -> tuple[list[str], list[str]]:
    target = manifest.target.column or ""
    table = read_columns(data, [*manifest.inputs.columns, target])
    pairs = [
        (text, target)
        for text, target in zip(
            joined_texts(table, manifest.inputs.columns),
            as_strings(table, target),
            strict=True,
        )
        if text and target
    ]
    if not pairs:
        raise BadTrainingData("too_few_rows", "No row has both a text and a label.")
    texts, targets = zip(*pairs, strict=True)
    return list(texts), list(targets)


def export_again(folder: Path, output: Path, data: Path) -> dict[str, Any]:
    """Write the ONNX files of a trained network anew, checked on the rows of `data`."""
    from engine.exporting import HeldOutRows, export
    from engine.network import load_network

    manifest = artifact.verify(folder)
    texts, targets = _labelled(manifest, data)
    index_of = {label: index for index, label in enumerate(manifest.labels)}
    encoded = TextClassifier(folder).encode(texts)
    labels = [index_of.get(target, -1) for target in targets]
    output.mkdir(parents=True, exist_ok=True)
    served, parity = export(load_network(folder), output, HeldOutRows(encoded, labels))
    return {"served": served, "parity": parity}
