"""Analyses of a finished model on request: results by one column's groups, one explained answer, or
the rows of another table that the model is least sure of.

They use its stored predictions and files; nothing is trained.
"""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from engine import serving
from engine.analysis.fairness import assess_fairness
from engine.analysis.label_certainty import rank_unlabelled
from engine.artifact import Manifest, read_manifest
from engine.errors import BadTrainingData
from engine.evaluation import read_predictions, read_slice_columns
from engine.evaluation.predictions import PREDICTIONS_FILE
from engine.evaluation.slicing import compute_breakdowns
from engine.metrics.shapes import GenerationPredictions

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from engine.analysis.attributions import TextAttribution

MAX_IMAGE_SIDE = 224
BASELINE_SAMPLE_ROWS = 2000
JsonObject = dict[str, Any]  # Cells of any table, answers of any model.


class AnalysisRequest(BaseModel):
    """What to analyse. Explained is `input`, a text or a mapping of cells; or `picture`, a file; or
    `row` of the data, counted from 0, for tables and images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["groups", "explain", "certainty"]
    artifact: Path  # A folder with the manifest, predictions and served files.
    data: Path | None = None  # The dataset version as Parquet.
    column: str | None = None  # Of certainty: the labels, which the data may not have yet.
    label: str | None = None  # The outcome to explain; None: the model's own answer.
    input: str | JsonObject | None = None
    picture: Path | None = None
    row: int | None = Field(default=None, ge=0)


def analyse(request: AnalysisRequest) -> JsonObject:
    """Raises BadTrainingData for what the person who asks can correct."""
    analyses = {"groups": _evaluate_groups, "explain": _explain, "certainty": _rank_rows}
    return analyses[request.kind](request)


def _rank_rows(request: AnalysisRequest) -> JsonObject:
    assert request.data is not None
    assert request.column is not None
    return {**rank_unlabelled(request.artifact, request.data, request.column)}


def _evaluate_groups(request: AnalysisRequest) -> JsonObject:
    """Results and fairness by one column, which need not be an input of the model."""
    assert request.data is not None
    assert request.column is not None
    column = request.column
    stored = read_predictions(request.artifact / PREDICTIONS_FILE)
    cells = read_slice_columns(request.data, stored.rows.source_rows, (), [column])[column]
    rows = replace(stored.rows, columns={column: cells})
    reports = []
    if not isinstance(stored.predictions, GenerationPredictions):
        _validate_label(request.label, rows.label_names)
        reports = [
            assess_fairness(
                stored.predictions, column, cells, rows.label_names, label=request.label
            )
        ]
    return {"breakdowns": compute_breakdowns(stored.predictions, rows), "fairness": reports}


def _validate_label(label: str | None, known: Sequence[str]) -> None:
    if label is not None and label not in known:
        raise BadTrainingData("unknown_label", f"The model does not know the label {label!r}.")


def _explain(request: AnalysisRequest) -> JsonObject:
    manifest = read_manifest(request.artifact)
    _validate_label(request.label, manifest.labels)
    explainers: dict[str, Callable[[AnalysisRequest, Manifest], JsonObject]] = {
        "text": _explain_text,
        "features": _explain_row,
        "image": _explain_image,
    }
    if manifest.inputs.kind not in explainers:
        raise BadTrainingData("cannot_explain", "This kind of model cannot be explained.")
    return explainers[manifest.inputs.kind](request, manifest)


def _cannot_explain_error(missing: str) -> BadTrainingData:
    return BadTrainingData("cannot_explain", f"This model's answers are explained for {missing}.")


def _explain_text(request: AnalysisRequest, manifest: Manifest) -> JsonObject:
    from tokenizers import Tokenizer

    if not isinstance(request.input, str) or not request.input.strip():
        raise _cannot_explain_error("a text: give it as input")
    text = request.input.strip()
    answer = serving.load_model(request.artifact, manifest=manifest).answer([text])[0]
    label = request.label or answer.get("label") or next(iter(answer.get("labels") or []), None)
    target = manifest.labels.index(label) if label in manifest.labels else 0
    tokenizer = Tokenizer.from_file(str(request.artifact / manifest.serving.tokenizer))
    return {
        "kind": "text",
        "text": text,
        "label": label,
        **_summarize_answer(answer),
        **_make_text_explainer(request.artifact, manifest, tokenizer)(text, target),
    }


def _make_text_explainer(
    folder: Path, manifest: Manifest, tokenizer: "Tokenizer"
) -> Callable[[str, int], "TextAttribution"]:
    from engine.analysis.attributions import make_ngram_explainer, make_text_explainer

    length = manifest.inputs.max_length or 512
    if manifest.training.get("method") == "ngrams":
        from engine.tasks.text.contenders.ngrams import load_ngrams

        return make_ngram_explainer(load_ngrams(folder).contributions, tokenizer, length)
    from engine.tasks.text.network import load_network

    network = load_network(folder)
    return make_text_explainer(network, network.encoder.get_input_embeddings(), tokenizer, length)


def _explain_row(request: AnalysisRequest, manifest: Manifest) -> JsonObject:
    from engine.analysis.attributions import explain_row

    cells = request.input if request.row is None else _read_row(request, manifest.inputs.columns)
    if not isinstance(cells, dict) or not cells:
        raise _cannot_explain_error("a row: give its cells as input, or its number as row")
    served = serving.load_model(request.artifact, manifest=manifest)
    answer = served.answer([cells])[0]
    label = request.label or answer.get("label")
    row = {name: cells.get(name) for name in manifest.inputs.columns}
    typical = _compute_baseline_row(request.data, list(row)) if request.data else dict.fromkeys(row)
    explained = explain_row(_make_output_function(served, label), row, typical)
    return {"kind": "features", "label": label, **_summarize_answer(answer), **explained}


def _read_row(request: AnalysisRequest, columns: list[str]) -> JsonObject:
    """One row of the data; raises BadTrainingData if there are fewer."""
    import pyarrow.parquet as pq

    assert request.data is not None
    assert request.row is not None
    table = pq.read_table(request.data, columns=columns).slice(request.row, 1)
    if not len(table):
        raise BadTrainingData("no_such_row", "The data ends before this row.")
    plain = (str, int, float, bool, type(None))
    cells = table.to_pylist()[0]
    return {
        name: cell if isinstance(cell, plain) else str(cell)  # Dates, as requests bring them.
        for name, cell in cells.items()
    }


def _compute_baseline_row(data: Path, columns: list[str]) -> JsonObject:
    """The median of numbers and the commonest value of anything else, from the first rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    import pyarrow.types as kinds

    table = pq.read_table(data, columns=columns).slice(0, BASELINE_SAMPLE_ROWS)
    typical: JsonObject = {}
    for name in columns:
        column = table[name].drop_null()
        if not len(column):
            typical[name] = None
        elif kinds.is_integer(column.type) or kinds.is_floating(column.type):
            typical[name] = pc.quantile(column, 0.5, interpolation="nearest")[0].as_py()
        else:
            typical[name] = Counter(column.to_pylist()).most_common(1)[0][0]
    return typical


def _explain_image(request: AnalysisRequest, manifest: Manifest) -> JsonObject:
    from engine.analysis.attributions import explain_image
    from engine.tasks.image.data.decoding import decode_image

    content = _read_image(request, manifest.inputs.columns[0])
    served = serving.load_model(request.artifact, manifest=manifest)
    answer = served.answer([content])[0]
    label = request.label or answer.get("label")
    image = decode_image(content)
    image.thumbnail((MAX_IMAGE_SIDE, MAX_IMAGE_SIDE))
    pixels = np.asarray(image, dtype=np.float32) / np.float32(255)
    output = _make_output_function(served, label)

    def output_of_pixels(images: npt.NDArray[np.float32]) -> Sequence[float]:
        return output([_encode_png(image) for image in images])

    explained = explain_image(output_of_pixels, pixels)
    return {"kind": "image", "label": label, **_summarize_answer(answer), **explained}


def _read_image(request: AnalysisRequest, column: str) -> bytes:
    from engine.tasks.image.data.parquet_images import read_image_bytes

    if request.picture is not None:
        return request.picture.read_bytes()
    if request.row is None or request.data is None:
        raise _cannot_explain_error("a picture of its data: give the row's number as row")
    content = read_image_bytes(request.data, column, request.row)
    if content is None:
        raise BadTrainingData("no_such_row", "This row has no picture, or the data ends before it.")
    return content


def _encode_png(pixels: npt.NDArray[np.float32]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _make_output_function(
    served: serving.ServedModel, label: str | None
) -> Callable[[list[Any]], list[float]]:
    """The explained number of each row: the label's probability, or the value."""

    def output(rows: list[Any]) -> list[float]:
        answers = served.answer(rows)
        if label is None:
            return [float(answer["value"]) for answer in answers]
        return [float(answer["probabilities"][label]) for answer in answers]

    return output


def _summarize_answer(answer: Mapping[str, Any]) -> JsonObject:
    fields = ("label", "probability", "labels", "value")
    return {"answer": {name: answer[name] for name in fields if name in answer}}
