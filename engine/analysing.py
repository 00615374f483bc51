"""Questions about a finished model, asked afterwards: one column's groups, or why one answer.

The answers come from its stored predictions and files; nothing is trained.
"""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from engine import fairness, serving
from engine.artifact import Manifest, read_manifest
from engine.errors import BadTrainingData
from engine.evaluation import TestRows, other_columns, read_predictions
from engine.evaluation.predictions import FILE
from engine.evaluation.slicing import breakdowns
from engine.metrics.shapes import Generations

LARGEST_SIDE = 224
TYPICAL_ROWS = 2000


class AnalysisRequest(BaseModel):
    """What is asked. To be explained: `input`, a text or a mapping of cells; or `picture`, a file;
    or `row` of the data, counted from 0, for tables and pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["groups", "explain"]
    artifact: Path  # A folder with the manifest, predictions and served files.
    data: Path | None = None  # The dataset version as Parquet.
    column: str | None = None
    label: str | None = None  # The outcome that matters; none: the model's own answer.
    input: str | dict[str, Any] | None = None
    picture: Path | None = None
    row: int | None = Field(default=None, ge=0)


def analyse(request: AnalysisRequest) -> dict[str, Any]:
    """Raises BadTrainingData for what the person asking can put right."""
    return _groups(request) if request.kind == "groups" else _explain(request)


def _groups(request: AnalysisRequest) -> dict[str, Any]:
    """Results and fairness by one column, whether or not the model saw it."""
    assert request.data is not None
    assert request.column is not None
    found = read_predictions(request.artifact / FILE)
    cells = other_columns(request.data, found.rows.source_rows, (), [request.column])
    rows = TestRows(
        texts=found.rows.texts,
        lengths=[],
        source_rows=found.rows.source_rows,
        label_names=found.rows.label_names,
        columns={request.column: cells[request.column]},
    )
    result: dict[str, Any] = {"breakdowns": breakdowns(found.given, rows), "fairness": []}
    if not isinstance(found.given, Generations):
        _refuse_unknown_label(request.label, rows.label_names)
        result["fairness"] = [
            fairness.assess(
                found.given,
                request.column,
                cells[request.column],
                rows.label_names,
                label=request.label,
            )
        ]
    return result


def _refuse_unknown_label(label: str | None, known: Sequence[str]) -> None:
    if label is not None and label not in known:
        raise BadTrainingData("unknown_label", f"The model does not know the label {label!r}.")


def _explain(request: AnalysisRequest) -> dict[str, Any]:
    manifest = read_manifest(request.artifact)
    _refuse_unknown_label(request.label, manifest.labels)
    explainers: dict[str, Callable[[AnalysisRequest, Manifest], dict[str, Any]]] = {
        "text": _explain_text,
        "features": _explain_row,
        "image": _explain_image,
    }
    if manifest.inputs.kind not in explainers:
        raise BadTrainingData("cannot_explain", "This kind of model cannot be explained.")
    return explainers[manifest.inputs.kind](request, manifest)


def _not_such(wanted: str) -> BadTrainingData:
    return BadTrainingData("cannot_explain", f"This model's answers are explained for {wanted}.")


def _explain_text(request: AnalysisRequest, manifest: Manifest) -> dict[str, Any]:
    from tokenizers import Tokenizer

    from engine.explaining import text_explainer
    from engine.network import load_network

    if not isinstance(request.input, str) or not request.input.strip():
        raise _not_such("a text: give it as input")
    text = request.input.strip()
    answer = serving.load(request.artifact, manifest=manifest).answer([text])[0]
    label = request.label or answer.get("label") or next(iter(answer.get("labels") or []), None)
    target = manifest.labels.index(label) if label in manifest.labels else 0
    network = load_network(request.artifact)
    tokenizer = Tokenizer.from_file(str(request.artifact / manifest.serving.tokenizer))
    length = manifest.inputs.max_length or 512
    explain = text_explainer(network, network.encoder.get_input_embeddings(), tokenizer, length)
    return {"kind": "text", "text": text, "label": label, **_said(answer), **explain(text, target)}


def _explain_row(request: AnalysisRequest, manifest: Manifest) -> dict[str, Any]:
    from engine.explaining import explain_cells

    given = request.input if request.row is None else _cells(request, manifest.inputs.columns)
    if not isinstance(given, dict) or not given:
        raise _not_such("a row: give its cells as input, or its number as row")
    served = serving.load(request.artifact, manifest=manifest)
    answer = served.answer([given])[0]
    label = request.label or answer.get("label")
    row = {name: given.get(name) for name in manifest.inputs.columns}
    typical = _typical(request.data, list(row)) if request.data else dict.fromkeys(row)
    explained = explain_cells(_output(served, label), row, typical)
    return {"kind": "features", "label": label, **_said(answer), **explained}


def _cells(request: AnalysisRequest, columns: list[str]) -> dict[str, Any]:
    """One row of the data; raises BadTrainingData when there are fewer."""
    import pyarrow.parquet as pq

    assert request.data is not None
    assert request.row is not None
    table = pq.read_table(request.data, columns=columns).slice(request.row, 1)
    if not len(table):
        raise BadTrainingData("no_such_row", f"The data has no row {request.row:,}.")
    plain = (str, int, float, bool, type(None))
    cells = table.to_pylist()[0]
    return {
        name: cell if isinstance(cell, plain) else str(cell)  # Dates, as requests bring them.
        for name, cell in cells.items()
    }


def _typical(data: Path, columns: list[str]) -> dict[str, Any]:
    """The middle of numbers and the commonest of anything else, from the first rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    import pyarrow.types as kinds

    table = pq.read_table(data, columns=columns).slice(0, TYPICAL_ROWS)
    typical: dict[str, Any] = {}
    for name in columns:
        column = table[name].drop_null()
        if not len(column):
            typical[name] = None
        elif kinds.is_integer(column.type) or kinds.is_floating(column.type):
            typical[name] = pc.quantile(column, 0.5, interpolation="nearest")[0].as_py()
        else:
            typical[name] = Counter(column.to_pylist()).most_common(1)[0][0]
    return typical


def _explain_image(request: AnalysisRequest, manifest: Manifest) -> dict[str, Any]:
    from engine.explaining import explain_pixels
    from engine.images.decoding import decode

    content = _picture(request, manifest.inputs.columns[0])
    served = serving.load(request.artifact, manifest=manifest)
    answer = served.answer([content])[0]
    label = request.label or answer.get("label")
    picture = decode(content)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)
    output = _output(served, label)

    def of_pixels(images: npt.NDArray[np.float32]) -> Sequence[float]:
        return output([_encoded(image) for image in images])

    explained = explain_pixels(of_pixels, pixels)
    return {"kind": "image", "label": label, **_said(answer), **explained}


def _picture(request: AnalysisRequest, column: str) -> bytes:
    from engine.images.stored import content_at

    if request.picture is not None:
        return request.picture.read_bytes()
    if request.row is None or request.data is None:
        raise _not_such("a picture of its data: give the row's number as row")
    content = content_at(request.data, column, request.row)
    if content is None:
        raise BadTrainingData("no_such_row", f"The data has no picture in row {request.row:,}.")
    return content


def _encoded(pixels: npt.NDArray[np.float32]) -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def _output(served: serving.ServedModel, label: str | None) -> Callable[[list[Any]], list[float]]:
    """The explained number of each row: the label's probability, or the value."""

    def output(rows: list[Any]) -> list[float]:
        found = served.answer(rows)
        if label is None:
            return [float(one["value"]) for one in found]
        return [float(one["probabilities"][label]) for one in found]

    return output


def _said(answer: dict[str, Any]) -> dict[str, Any]:
    kept = ("label", "probability", "labels", "value")
    return {"answer": {name: answer[name] for name in kept if name in answer}}
