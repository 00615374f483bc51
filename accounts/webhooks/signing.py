"""Standard Webhooks signatures: what OpenAI's webhooks carry and its client verifies."""

import base64
import hashlib
import hmac
import secrets

SECRET_PREFIX = "whsec_"


def generate_secret() -> str:
    """192 random bits behind the usual prefix."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signature_headers(
    keys: list[str], *, event_id: str, timestamp: int, body: str
) -> dict[str, str]:
    """The three headers; one signature per key, so that a rotation breaks no receiver."""
    content = f"{event_id}.{timestamp}.{body}".encode()
    signatures = []
    for key in keys:
        raw_key = base64.b64decode(key.removeprefix(SECRET_PREFIX))
        digest = hmac.new(raw_key, content, hashlib.sha256).digest()
        signatures.append("v1," + base64.b64encode(digest).decode())
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
