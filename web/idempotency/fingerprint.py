"""One digest for what a request asks: method, address, fields and the bytes of files."""

import hashlib
import json
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

NOT_ASKED = {"csrfmiddlewaretoken", "idempotency_key"}  # They differ between copies of one form.


def fingerprint(method: str, address: str, body: Any) -> str:
    """SHA-256 in hex. `body` is parsed JSON, or a form with or without its files."""
    digest = hashlib.sha256(f"{method} {address}\0".encode())
    if isinstance(body, QueryDict):
        for name, values in sorted(body.lists()):
            if name not in NOT_ASKED:
                for value in values:
                    digest.update(json.dumps([name, *_described(value)]).encode())
    else:
        digest.update(json.dumps(body, sort_keys=True).encode())
    return digest.hexdigest()


def _described(value: Any) -> list[str]:
    if not isinstance(value, UploadedFile):
        return [str(value)]
    content = hashlib.sha256()
    for chunk in value.chunks():
        content.update(chunk)
    value.seek(0)
    return [str(value.name), content.hexdigest()]
