"""How the models process knows requests of the web process, whose guard has counted them already.

Without that, all who come through the web process would count as one address.
"""

import hmac
from functools import lru_cache

from django.conf import settings
from django.utils.crypto import salted_hmac
from starlette.types import Scope

HEADER = "x-lathe-web"
_HEADER_BYTES = HEADER.encode()


def proof() -> bytes:
    """The header's value; the reverse proxy drops the header from requests from outside."""
    return _proof_by(settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _proof_by(key: str) -> bytes:
    mac = salted_hmac("inference.gateway", "web process", secret=key, algorithm="sha256")
    return mac.hexdigest().encode()


def is_sender(scope: Scope) -> bool:
    """Whether the web process sent this request."""
    sent = next((value for name, value in scope["headers"] if name == _HEADER_BYTES), None)
    return sent is not None and hmac.compare_digest(sent, proof())
