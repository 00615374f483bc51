"""Secrets that must be read again (webhook signing keys), encrypted under the SECRET_KEY."""

import base64
import hashlib

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def seal(secret: str) -> str:
    return _cipher().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """The secret again. Raises cryptography's InvalidToken when no SECRET_KEY of ours sealed it."""
    return _cipher().decrypt(sealed.encode()).decode()


def _cipher() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    digest = hashlib.sha256(b"lathe sealed secrets\0" + key.encode()).digest()
    return base64.urlsafe_b64encode(digest)
