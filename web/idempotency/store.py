"""Keys and their answers. The unique row decides between twins; nothing holds a transaction open.

A refused request had no effect, so its key is free again at once. A request that broke off, or
ended in an error nobody expected, may have had one: its key stays used, and the caller is told so.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.timezone import now

from web.errors import UserError
from web.models import IdempotentRequest

KEY_LIFETIME = timedelta(hours=24)
WAIT_SECONDS, POLL_SECONDS = 3.0, 0.05  # How long the second of two twins waits for the first.
MAX_ANSWER_BYTES = 4 * 1024**2


class IdempotencyKeyReused(UserError):
    code, status = "idempotency_key_reused", 409
    sentence = "This key was used within 24 hours for another request. Use a new key."


class RequestInProgress(UserError):
    code, status = "request_in_progress", 409
    sentence = (
        "The first request of this kind is still being worked on, or broke off."
        " Look at what it did before you send it again."
    )


@dataclass(frozen=True)
class Answer:
    """What is said again to the second request."""

    status: int
    content: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Claim:
    """The key of one request: whose it is, what it says, and what the request asks for.

    `is_form`: a form sent again with other values is another request, not a mistake.
    """

    owner: str
    key: str
    fingerprint: str
    is_form: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.owner}\0{self.key}".encode()).hexdigest()


def begin(claim: Claim, wait_seconds: float = WAIT_SECONDS) -> Answer | None:
    """None: go on, and call `finish` or `forget`. Else the answer to repeat.

    Raises IdempotencyKeyReused, or RequestInProgress when the first is not done within
    `wait_seconds`.
    """
    rows = IdempotentRequest.objects.filter(digest=claim.digest)
    deadline = time.monotonic() + wait_seconds
    while True:
        rows.filter(created_at__lt=now() - KEY_LIFETIME).delete()
        row, is_new = IdempotentRequest.objects.get_or_create(
            digest=claim.digest, defaults={"fingerprint": claim.fingerprint}
        )
        if is_new:
            return None
        if row.fingerprint != claim.fingerprint:
            if not claim.is_form:
                raise IdempotencyKeyReused
            rows.filter(pk=row.pk).delete()
        elif row.sealed_answer is not None:
            return _unseal(claim, bytes(row.sealed_answer))
        elif time.monotonic() >= deadline:
            raise RequestInProgress
        else:
            time.sleep(POLL_SECONDS)


def finish(claim: Claim, answer: Answer) -> None:
    """Keep the answer for KEY_LIFETIME."""
    if len(answer.content) > MAX_ANSWER_BYTES:
        return  # The key stays used: better no answer than a second effect.
    plain = json.dumps([answer.status, answer.content.hex(), answer.headers]).encode()
    sealed = _cipher(claim).encrypt(plain)
    IdempotentRequest.objects.filter(digest=claim.digest, finished_at=None).update(
        sealed_answer=sealed, finished_at=now()
    )


def forget(claim: Claim) -> None:
    """Free the key: the request had no effect."""
    IdempotentRequest.objects.filter(digest=claim.digest, finished_at=None).delete()


def delete_old() -> None:
    """Delete the keys that nobody may repeat any more."""
    IdempotentRequest.objects.filter(created_at__lt=now() - KEY_LIFETIME).delete()


def _unseal(claim: Claim, sealed: bytes) -> Answer:
    try:
        status, content, headers = json.loads(_cipher(claim).decrypt(sealed))
        return Answer(status, bytes.fromhex(content), headers)
    except InvalidToken:  # No SECRET_KEY of ours encrypted it.
        raise RequestInProgress from None


def _cipher(claim: Claim) -> MultiFernet:
    """Needs the key itself as well as the SECRET_KEY, so the database alone reveals no answer."""
    name = f"idempotency\0{claim.owner}\0{claim.key}".encode()
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = [hmac.digest(secret.encode(), name, "sha256") for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
