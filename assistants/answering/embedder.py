"""Embeds questions by the models process's /v1/embeddings, as a program would, and pays for it."""

import base64
import logging
from collections.abc import Sequence
from typing import cast

import httpx
import numpy as np
import numpy.typing as npt

from assistants.asking_token import asking_prefix
from assistants.errors import EncoderUnavailable
from assistants.models import Version
from engine.answering.encoders import with_prefix
from engine.encoder_precision import EncoderPrecision, name_at_precision
from inference.gateway import internal_token, web_process
from inference.gateway.models_client import open_client

logger = logging.getLogger(__name__)

# The first question after a start waits until the encoder is loaded.
TIMEOUT_SECONDS = 20.0
_client = open_client(TIMEOUT_SECONDS)


def embed(version: Version, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Unit-length vectors (texts, dimensions) by the encoder that the version was measured with,
    billed to the assistant. Raises EncoderUnavailable also where the team has no money left."""
    assistant, encoder = version.assistant, version.encoder
    precision = cast(EncoderPrecision, version.encoder_precision)
    body = {
        "model": name_at_precision(encoder, precision),
        "input": [with_prefix(encoder, text) for text in texts],
        "encoding_format": "base64",
        "truncate": True,
    }
    token = internal_token.issue_token(
        assistant.team_id, None, source=assistant.source, prefix=asking_prefix.get()
    )
    headers = {
        internal_token.HEADER: token,
        web_process.HEADER: web_process.proof().decode(),
    }
    try:
        answer = _client.post("/v1/embeddings", json=body, headers=headers)
        answer.raise_for_status()
        rows = [base64.b64decode(row["embedding"]) for row in answer.json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        logger.warning("The encoder %s does not answer: %s", encoder, error)
        raise EncoderUnavailable from error
    return np.stack([np.frombuffer(row, "<f4") for row in rows]).astype(np.float64)
