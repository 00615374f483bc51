"""The bodies of /v1/classify: what a request may say, and both shapes of the answer.

The default shape is vLLM's, with a `scores` list that names the labels; a body with `inputs` is
answered in the shape of Hugging Face's text-classification API. A row is a text, an object of a
table's features, or a picture as base64, whatever the model reads.
"""

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.artifact import Inputs, Target
from inference.server.refusals import Refusal, bad_request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_ROWS = 2048
MOST_CHARACTERS = 100_000  # Of one text; models read a few hundred tokens of it.
DECIMALS = 6  # Scores say no more than that, and the JSON is half as long.
Function = Literal["softmax", "sigmoid", "none"]
Row = str | dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A classify request that was understood."""

    model: str
    rows: list[Row]
    is_list: bool  # Whether the caller sent a list, which Hugging Face's shape mirrors.
    is_hugging_face: bool = False
    function: Function | None = None  # None: what suits the model.
    top_k: int | None = None

    @property
    def param(self) -> str:
        return "inputs" if self.is_hugging_face else "input"

    @property
    def texts(self) -> list[str]:
        """The rows as a log keeps them."""
        return [row if isinstance(row, str) else json.dumps(row) for row in self.rows]


@dataclass(frozen=True)
class Answered:
    """The scores (rows, labels) that answer a question; of a number, itself: (rows, 1)."""

    question: Question
    labels: list[str]
    scores: "npt.NDArray[np.float64]"
    target: Target


def read_question(body: bytes, model_in_query: str = "") -> Question:
    """Understand a body. Raises Refusal (400) naming the parameter at fault."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "invalid_json", "The body is not valid JSON.") from None
    if not isinstance(asked, dict):
        raise bad_request("The body must be a JSON object.")
    model = asked.get("model", model_in_query or None)
    if not isinstance(model, str) or not model:
        raise bad_request("model must be the name of a deployment.", "model")
    if "inputs" in asked:
        return _hugging_face(asked, model)
    if "messages" in asked:
        raise bad_request("Send plain texts in input; messages are not supported.", "messages")
    rows, is_list = _rows(asked.get("input"), "input")
    activation = asked.get("use_activation")
    if activation is not None and not isinstance(activation, bool):
        raise bad_request("use_activation must be true or false.", "use_activation")
    function: Function | None = "none" if activation is False else None
    return Question(model, rows, is_list, function=function)


def _hugging_face(asked: dict[str, Any], model: str) -> Question:
    rows, is_list = _rows(asked["inputs"], "inputs")
    parameters = asked.get("parameters")
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict):
        raise bad_request("parameters must be an object.", "parameters")
    function = _function(parameters.get("function_to_apply"))
    top_k = parameters.get("top_k")
    if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1):
        raise bad_request("top_k must be a whole number from 1 on.", "parameters.top_k")
    return Question(model, rows, is_list, True, function, top_k)


def _function(given: Any) -> Function | None:
    match given:
        case None:
            return None
        case "softmax" | "sigmoid" | "none":
            return given  # type: ignore[no-any-return]  # One of the three, just seen.
    raise bad_request(
        "function_to_apply must be softmax, sigmoid or none.", "parameters.function_to_apply"
    )


def _rows(given: Any, param: str) -> tuple[list[Row], bool]:
    if isinstance(given, str | dict):
        _check_row(given, param)
        return [given], False
    if given is None:
        raise bad_request(f"{param} is required: a text or a list of texts.", param)
    if not isinstance(given, list):
        raise bad_request(f"{param} must be a text or a list of texts.", param)
    if not 1 <= len(given) <= MOST_ROWS:
        raise bad_request(f"{param} must hold 1 to {MOST_ROWS} texts, not {len(given)}.", param)
    for position, row in enumerate(given):
        _check_row(row, f"{param}[{position}]")
    return given, True


def _check_row(row: Any, param: str) -> None:
    if isinstance(row, dict):
        for name, value in row.items():
            if isinstance(value, list | dict):
                raise bad_request(f"{param}: {name[:40]!r} must be a single value.", param)
            if isinstance(value, str):
                _check_text(value, f"{param}.{name[:40]}")
        return
    if not isinstance(row, str):
        raise bad_request(f"{param} must be a text, or an object of features.", param)
    _check_text(row, param)


def rows_for(question: Question, inputs: Inputs) -> list[Any]:
    """The rows in the form that the model reads. Raises Refusal (400) for another form."""
    wanted = dict if inputs.kind == "features" else str
    forms = {
        "text": "This model reads texts",
        "features": "This model reads a table's features: send objects such as "
        + json.dumps(dict.fromkeys(inputs.columns[:2], "…"), ensure_ascii=False),
        "image": "This model reads pictures: send each as base64 text",
    }
    for position, row in enumerate(question.rows):
        place = f"{question.param}[{position}]" if question.is_list else question.param
        if not isinstance(row, wanted):
            raise bad_request(f"{forms[inputs.kind]}. {place} is something else.", place)
        if inputs.kind == "text" and len(row) > MOST_CHARACTERS:
            raise bad_request(f"{place} is longer than {MOST_CHARACTERS:,} characters.", place)
    if inputs.kind == "image":
        return [_picture(str(row), question.param) for row in question.rows]
    return question.rows


def _picture(text: str, param: str) -> bytes:
    """Base64, with or without the head of a data URL."""
    try:
        return base64.b64decode(text.partition(",")[2] or text, validate=True)
    except ValueError:
        raise bad_request(f"{param} must be a picture as base64 text.", param) from None


def _check_text(text: str, param: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair; UTF-8 cannot.
        raise bad_request(f"{param} is not valid Unicode text.", param) from None


def scores_of(
    question: Question, target: Target, outputs: "npt.NDArray[np.float32]"
) -> "npt.NDArray[np.float64]":
    """What the file computed, (rows, outputs), as what the caller asked for."""
    import numpy as np

    numbers = outputs.astype(np.float64)
    if target.kind == "number":
        return numbers * target.deviation + target.mean
    function = question.function or ("sigmoid" if target.kind == "labels" else "softmax")
    if function == "none":
        return numbers
    if function == "sigmoid":
        negative = np.exp(-np.abs(numbers))  # Never overflows, unlike exp(-x).
        return np.where(numbers >= 0, 1 / (1 + negative), negative / (1 + negative))
    exponents = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return result


def chosen_labels(answered: Answered, scores: list[float]) -> list[str]:
    """Of several labels, those that reach their threshold; else the best one, or the number."""
    if answered.target.kind == "number":
        return [f"{scores[0]:.6g}"]
    if answered.target.kind == "label":
        return [answered.labels[max(range(len(scores)), key=scores.__getitem__)]]
    thresholds = answered.target.thresholds or [0.5] * len(answered.labels)
    triples = zip(answered.labels, scores, thresholds, strict=True)
    return [label for label, score, least in triples if score >= least]


def hugging_face_answer(answered: Answered) -> list[Any]:
    """One list of {label, score}, best first; a list of those lists for a list of texts."""
    names = answered.labels or [answered.target.column or "value"]
    rows = [ranked(names, scores)[: answered.question.top_k] for scores in rounded(answered.scores)]
    return rows if answered.question.is_list else rows[0]


def vllm_answer(
    answered: Answered, *, request_id: str, created: int, tokens: int
) -> dict[str, Any]:
    """vLLM's classification object, plus the named scores of each item."""
    return {
        "id": request_id,
        "object": "list",
        "created": created,
        "model": answered.question.model,
        "data": [
            {"index": index, **_item(answered, scores)}
            for index, scores in enumerate(rounded(answered.scores))
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
    }


def _item(answered: Answered, scores: list[float]) -> dict[str, Any]:
    if answered.target.kind == "number":
        return {"value": scores[0]}
    chosen = chosen_labels(answered, scores)
    said = {"labels": chosen} if answered.target.kind == "labels" else {"label": chosen[0]}
    return said | {
        "probs": scores,
        "num_classes": len(answered.labels),
        "scores": ranked(answered.labels, scores),
    }


def ranked(labels: list[str], scores: list[float]) -> list[dict[str, Any]]:
    """Named scores, best first; equal scores keep the order of the labels."""
    order = sorted(range(len(labels)), key=lambda position: -scores[position])
    return [{"label": labels[position], "score": scores[position]} for position in order]


def rounded(scores: "npt.NDArray[np.float64]") -> list[list[float]]:
    """Plain floats that JSON can hold."""
    rows: list[list[float]] = scores.round(DECIMALS).tolist()
    if not all(math.isfinite(number) for row in rows for number in row):
        raise ArithmeticError("The model answered with a number that is not finite.")
    return rows


def model_object(name: str, created: int, team: str) -> dict[str, Any]:
    """One deployment as an OpenAI model."""
    return {"id": name, "object": "model", "created": created, "owned_by": team}
