"""The bodies of /v1/embeddings, in OpenAI's shape."""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from inference.serving.protocol.body import JsonObject, check_text, parse_json_object, validate
from inference.serving.protocol.errors import bad_request
from inference.serving.protocol.openai_tokens import NotOpenAITokens, decode_tokens

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_ROWS = 2048
MAX_CHARACTERS = 100_000


class EmbeddingsBody(BaseModel):
    model_config = ConfigDict(strict=True)

    model: Annotated[str, Field(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None
    truncate: bool | None = None  # Beyond OpenAI's body, as several servers have it.


MESSAGES = {
    "model": "model must be the name of a deployment or of a base encoder.",
    "encoding_format": "encoding_format must be float or base64.",
    "dimensions": "dimensions must be a whole number from 1 on.",
    "user": "user must be a text.",
    "truncate": "truncate must be true or false.",
}


@dataclass(frozen=True)
class EmbeddingsRequest:
    """A valid request."""

    model: str
    texts: list[str]
    is_base64: bool
    dimensions: int | None
    cuts: bool = False  # Texts longer than the model reads, instead of refusing them.


def parse_embeddings_request(body: bytes) -> EmbeddingsRequest:
    """Raises ApiError (400) naming the parameter at fault."""
    content = parse_json_object(body)
    known = {name: content.get(name) for name in EmbeddingsBody.model_fields}
    fields = validate(EmbeddingsBody, known, MESSAGES)
    return EmbeddingsRequest(
        model=fields.model,
        texts=_parse_input(content.get("input")),
        is_base64=fields.encoding_format == "base64",
        dimensions=fields.dimensions,
        cuts=bool(fields.truncate),
    )


def _parse_input(value: object) -> list[str]:
    """Of a text, texts, OpenAI's token ids, or lists of them."""
    if isinstance(value, str):
        return [_check_row(value, "input")]
    if not isinstance(value, list) or not value:
        raise bad_request(
            "input must be a text, a list of texts, or token ids; and not empty.", "input"
        )
    if all(_is_token(one) for one in value):
        return [_check_row(value, "input")]
    if len(value) > MAX_ROWS:
        raise bad_request(f"input holds {len(value):,} rows; at most {MAX_ROWS:,}.", "input")
    if len({type(one) for one in value}) > 1:
        raise bad_request("input must hold texts or token ids, not both.", "input")
    return [_check_row(one, f"input[{place}]") for place, one in enumerate(value)]


def _check_row(row: object, param: str) -> str:
    if isinstance(row, list) and row and all(_is_token(one) for one in row):
        try:
            row = decode_tokens(row)
        except NotOpenAITokens as problem:
            raise bad_request(f"{param} {problem}", param) from problem
    if not isinstance(row, str):
        raise bad_request(f"{param} must be a text or token ids, and not empty.", param)
    check_text(row, param, MAX_CHARACTERS)
    if not row.strip():
        raise bad_request(f"{param} is empty: there is nothing to embed.", param)
    return row


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def embeddings_response(
    request: EmbeddingsRequest, embeddings: "npt.NDArray[np.float32]", tokens: int
) -> JsonObject:
    """Rows (rows, hidden) of unit length; of fewer dimensions, the first ones at unit length."""
    import numpy as np

    if request.dimensions is not None:
        if request.dimensions > embeddings.shape[1]:
            raise bad_request(
                f"dimensions must be at most {embeddings.shape[1]} for this model.", "dimensions"
            )
        embeddings = embeddings[:, : request.dimensions]
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        embeddings = embeddings / np.maximum(lengths, 1e-12)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
            if request.is_base64
            else row.tolist(),
        }
        for index, row in enumerate(embeddings)
    ]
    return {
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
