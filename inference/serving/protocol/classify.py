"""The bodies of /v1/classify: what a request may hold, and both shapes of the answer.

The default shape is vLLM's, with a `scores` list that names the labels; a body with `inputs` is
result in the shape of Hugging Face's text-classification API. A row is a text, an object of a
table's features, or a picture as base64, whatever the model reads.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.artifact import Target
from inference.serving.protocol.body import (
    JsonObject,
    parse_json_object,
    validate,
)
from inference.serving.protocol.errors import ApiError, bad_request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_ROWS = 2048
SCORE_DECIMALS = 6  # Scores say no more than that, and the JSON is half as long.
Activation = Literal["softmax", "sigmoid", "none"]
Row = object  # A text, a picture as base64, or columns by name; checked where it is read.


@dataclass(frozen=True)
class ClassifyRequest:
    """A valid classify request."""

    model: str
    rows: list[Row]
    is_list: bool  # Whether the caller sent a list, which Hugging Face's shape mirrors.
    is_hugging_face: bool = False
    function: Activation | None = None  # None: what suits the model.
    top_k: int | None = None

    @property
    def param(self) -> str:
        return "inputs" if self.is_hugging_face else "input"

    @property
    def texts(self) -> list[str]:
        """The rows as the request log keeps them."""
        texts = (row if isinstance(row, str) else json.dumps(row) for row in self.rows)
        return [text.encode(errors="replace").decode() for text in texts]


@dataclass(frozen=True)
class ClassifyResult:
    """The scores of a request, (rows, labels); of a regressor its value, (rows, 1)."""

    request: ClassifyRequest
    labels: list[str]
    scores: "npt.NDArray[np.float64]"  # Of the rows without a problem.
    target: Target
    problems: Mapping[int, ApiError] = field(default_factory=dict)  # By row: it has no scores.
    notes: Sequence[str] = ()  # What the caller should know and need not mend.


class HuggingFaceParameters(BaseModel):
    model_config = ConfigDict(strict=True)

    function_to_apply: Activation | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None


MESSAGES = {
    "function_to_apply": "function_to_apply must be softmax, sigmoid or none.",
    "top_k": "top_k must be a whole number from 1 on.",
}


def parse_classify_request(body: bytes, model_in_query: str = "") -> ClassifyRequest:
    """Raises ApiError (400) naming the parameter at fault."""
    content = parse_json_object(body)
    model = content.get("model", model_in_query or None)
    if not isinstance(model, str) or not model:
        raise bad_request("model must be the name of a deployment.", "model")
    if "inputs" in content:
        rows, is_list = _parse_rows(content["inputs"], "inputs")
        parameters = content.get("parameters")
        parameters = {} if parameters is None else parameters
        if not isinstance(parameters, dict):
            raise bad_request("parameters must be an object.", "parameters")
        options = validate(HuggingFaceParameters, parameters, MESSAGES, "parameters.")
        return ClassifyRequest(model, rows, is_list, True, options.function_to_apply, options.top_k)
    if "messages" in content:
        raise bad_request("Send plain texts in input; messages are not supported.", "messages")
    rows, is_list = _parse_rows(content.get("input"), "input")
    activation = content.get("use_activation")
    if activation is not None and not isinstance(activation, bool):
        raise bad_request("use_activation must be true or false.", "use_activation")
    return ClassifyRequest(model, rows, is_list, function="none" if activation is False else None)


def _parse_rows(content: object, param: str) -> tuple[list[Row], bool]:
    """The rows, unchecked, and whether they came as a list."""
    if isinstance(content, str | dict):
        return [content], False
    if content is None:
        raise bad_request(f"{param} is required: a text or a list of texts.", param)
    if not isinstance(content, list):
        raise bad_request(f"{param} must be a text or a list of texts.", param)
    if not 1 <= len(content) <= MAX_ROWS:
        raise bad_request(f"{param} must hold 1 to {MAX_ROWS} texts, not {len(content)}.", param)
    return content, True


def compute_scores(
    request: ClassifyRequest, target: Target, outputs: "npt.NDArray[np.float32]"
) -> "npt.NDArray[np.float64]":
    """The model's outputs, (rows, outputs), as the scores that the request asks for."""
    import numpy as np

    numbers = outputs.astype(np.float64)
    if target.kind == "number":
        return numbers * target.deviation + target.mean
    function = request.function or ("sigmoid" if target.kind == "labels" else "softmax")
    if function == "none":
        return numbers
    if function == "sigmoid":
        negative = np.exp(-np.abs(numbers))  # Never overflows, unlike exp(-x).
        return np.where(numbers >= 0, 1 / (1 + negative), negative / (1 + negative))
    exponents = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def predicted_labels(result: ClassifyResult, scores: list[float]) -> list[str]:
    """Of several labels, those that reach their threshold; else the best one, or the number."""
    if result.target.kind == "number":
        return [f"{scores[0]:.6g}"]
    if result.target.kind == "label":
        return [result.labels[max(range(len(scores)), key=scores.__getitem__)]]
    thresholds = result.target.thresholds or [0.5] * len(result.labels)
    triples = zip(result.labels, scores, thresholds, strict=True)
    return [label for label, score, least in triples if score >= least]


def hugging_face_response(result: ClassifyResult) -> object:
    """One list of {label, score}, best first; a list of those lists for a list of texts."""
    names = result.labels or [result.target.column or "value"]
    rows: list[object] = [
        [{"error": one.sentence}]
        if isinstance(one, ApiError)
        else rank_labels(names, one)[: result.request.top_k]
        for one in _outcomes(result)
    ]
    return rows if result.request.is_list else rows[0]


def vllm_response(
    result: ClassifyResult, *, request_id: str, created: int, tokens: int
) -> JsonObject:
    """vLLM's classification object, plus the named scores of each item."""
    response: JsonObject = {
        "id": request_id,
        "object": "list",
        "created": created,
        "model": result.request.model,
        "data": [
            {"index": index, **_response_item(result, outcome)}
            for index, outcome in enumerate(_outcomes(result))
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
    }
    if result.notes:
        response["notes"] = list(result.notes)
    return response


def _outcomes(result: ClassifyResult) -> list[list[float] | ApiError]:
    """Of each row of the request its scores, or its problem."""
    scores = iter(round_scores(result.scores))
    rows = range(len(result.request.rows))
    return [result.problems[row] if row in result.problems else next(scores) for row in rows]


def _response_item(result: ClassifyResult, scores: list[float] | ApiError) -> JsonObject:
    if isinstance(scores, ApiError):
        return {"error": scores.as_error()}
    if result.target.kind == "number":
        return {"value": scores[0]}
    chosen = predicted_labels(result, scores)
    content: JsonObject = (
        {"labels": chosen} if result.target.kind == "labels" else {"label": chosen[0]}
    )
    return content | {
        "probs": scores,
        "num_classes": len(result.labels),
        "scores": rank_labels(result.labels, scores),
    }


def rank_labels(labels: list[str], scores: list[float]) -> list[JsonObject]:
    """Named scores, best first; equal scores keep the order of the labels."""
    order = sorted(range(len(labels)), key=lambda position: -scores[position])
    return [{"label": labels[position], "score": scores[position]} for position in order]


def round_scores(scores: "npt.NDArray[np.float64]") -> list[list[float]]:
    """Plain floats that JSON can hold."""
    rows: list[list[float]] = scores.round(SCORE_DECIMALS).tolist()
    if not all(math.isfinite(number) for row in rows for number in row):
        raise ArithmeticError("The model result with a number that is not finite.")
    return rows
