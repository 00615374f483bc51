"""Standard Webhooks signatures: what OpenAI's webhooks carry and its client verifies."""

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"


def new_secret() -> str:
    """192 random bits behind the usual prefix."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def headers(keys: list[str], *, event_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The three headers; one signature per key, so that a rotation breaks no receiver."""
    content = f"{event_id}.{timestamp}.{body}".encode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: str, content: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest()).decode()
