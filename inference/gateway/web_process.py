"""How the models process knows requests of the web process, whose guard has counted them already.

Without that, all who come through the web process would count as one address.
"""

import hmac
from functools import lru_cache, partial

from django.conf import settings
from django.utils.crypto import salted_hmac
from starlette.types import Scope

HEADER = "x-lathe-web"
_HEADER_BYTES = HEADER.encode()


@lru_cache(maxsize=8)
def _proof_by(key: str, process: str) -> bytes:
    mac = salted_hmac("inference.gateway", process, secret=key, algorithm="sha256")
    return mac.hexdigest().encode()


def proof_of(process: str) -> bytes:
    """What only our processes can say: that this one of them sent a request. The reverse proxy
    drops such headers from requests from outside."""
    return _proof_by(settings.SECRET_KEY, process)


# The value of the web process's header.
proof = partial(proof_of, "web process")


def is_sender(scope: Scope) -> bool:
    """Whether the web process sent this request."""
    sent = next((value for name, value in scope["headers"] if name == _HEADER_BYTES), None)
    return sent is not None and hmac.compare_digest(sent, proof())
