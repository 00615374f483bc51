"""Which requests are inference, and what of a request's head goes on to the models process."""

import re

from inference.gateway import client_address, internal_token, web_process

INFERENCE_PATHS = (
    "/v1/classify",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/models",
    "/v1/info",
)
TARGET = re.compile(rb"/[\x21-\x7e]*")  # What a request line can hold.
# Of one connection only (RFC 9110, 7.6.1); what is written anew; and what must not come from
# outside.
DROPPED_HEADERS = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
DROPPED_REQUEST_HEADERS = DROPPED_HEADERS | {
    b"host",
    b"content-length",
    b"expect",
    b"cookie",
    internal_token.HEADER.encode(),
    web_process.HEADER.encode(),
    client_address.HEADER,
}


def is_inference_path(path: str) -> bool:
    """Whether the models process answers here."""
    return path in INFERENCE_PATHS or path.startswith("/v1/models/")
