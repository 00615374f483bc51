"""The bodies of /v1/classify: what a request may say, and both shapes of the answer.

The default shape is vLLM's, with a `scores` list that names the labels; a body with `inputs` is
answered in the shape of Hugging Face's text-classification API.
"""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from inference.server.refusals import Refusal, bad_request

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_ROWS = 2048
MOST_CHARACTERS = 100_000  # Of one text; models read a few hundred tokens of it.
DECIMALS = 6  # Scores say no more than that, and the JSON is half as long.
Function = Literal["softmax", "sigmoid", "none"]


@dataclass(frozen=True)
class Question:
    """A classify request that was understood."""

    model: str
    texts: list[str]
    is_list: bool  # Whether the caller sent a list, which Hugging Face's shape mirrors.
    is_hugging_face: bool = False
    function: Function = "softmax"
    top_k: int | None = None


@dataclass(frozen=True)
class Answered:
    """The scores (rows, labels) that answer a question."""

    question: Question
    labels: list[str]
    scores: "npt.NDArray[np.float64]"


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
    texts, is_list = _texts(asked.get("input"), "input")
    activation = asked.get("use_activation")
    if activation is not None and not isinstance(activation, bool):
        raise bad_request("use_activation must be true or false.", "use_activation")
    function: Function = "none" if activation is False else "softmax"
    return Question(model, texts, is_list, function=function)


def _hugging_face(asked: dict[str, Any], model: str) -> Question:
    texts, is_list = _texts(asked["inputs"], "inputs")
    parameters = asked.get("parameters")
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict):
        raise bad_request("parameters must be an object.", "parameters")
    function = _function(parameters.get("function_to_apply"))
    top_k = parameters.get("top_k")
    if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1):
        raise bad_request("top_k must be a whole number from 1 on.", "parameters.top_k")
    return Question(model, texts, is_list, True, function, top_k)


def _function(given: Any) -> Function:
    match given:
        case None:
            return "softmax"
        case "softmax" | "sigmoid" | "none":
            return given  # type: ignore[no-any-return]  # One of the three, just seen.
    raise bad_request(
        "function_to_apply must be softmax, sigmoid or none.", "parameters.function_to_apply"
    )


def _texts(given: Any, param: str) -> tuple[list[str], bool]:
    if isinstance(given, str):
        _check_text(given, param)
        return [given], False
    if given is None:
        raise bad_request(f"{param} is required: a text or a list of texts.", param)
    if not isinstance(given, list):
        raise bad_request(f"{param} must be a text or a list of texts.", param)
    if not 1 <= len(given) <= MOST_ROWS:
        raise bad_request(f"{param} must hold 1 to {MOST_ROWS} texts, not {len(given)}.", param)
    for position, text in enumerate(given):
        if not isinstance(text, str):
            raise bad_request(f"{param}[{position}] must be a text.", f"{param}[{position}]")
        _check_text(text, f"{param}[{position}]")
    return given, True


def _check_text(text: str, param: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise bad_request(f"{param} is longer than {MOST_CHARACTERS:,} characters.", param)
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair; UTF-8 cannot.
        raise bad_request(f"{param} is not valid Unicode text.", param) from None


def apply_function(
    function: Function, logits: "npt.NDArray[np.float32]"
) -> "npt.NDArray[np.float64]":
    """Logits (rows, labels) to what the caller asked for, in the same shape."""
    import numpy as np

    numbers = logits.astype(np.float64)
    if function == "none":
        return numbers
    if function == "sigmoid":
        negative = np.exp(-np.abs(numbers))  # Never overflows, unlike exp(-x).
        return np.where(numbers >= 0, 1 / (1 + negative), negative / (1 + negative))
    exponents = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return result


def hugging_face_answer(answered: Answered) -> list[Any]:
    """One list of {label, score}, best first; a list of those lists for a list of texts."""
    rows = [
        ranked(answered.labels, scores)[: answered.question.top_k]
        for scores in rounded(answered.scores)
    ]
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
            _item(index, answered.labels, scores)
            for index, scores in enumerate(rounded(answered.scores))
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
    }


def _item(index: int, labels: list[str], scores: list[float]) -> dict[str, Any]:
    best = max(range(len(scores)), key=scores.__getitem__)
    return {
        "index": index,
        "label": labels[best],
        "probs": scores,
        "num_classes": len(labels),
        "scores": ranked(labels, scores),
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
