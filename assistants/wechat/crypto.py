"""Signatures and cipher of WeChat's message callbacks, in plain and in encrypted mode.

AES-256-CBC with the key's first 16 bytes as IV and PKCS#7 padding to 32 bytes; the plain text is
16 random bytes, the length as 32-bit big endian, the XML, and the app id.
"""

import base64
import binascii
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from assistants.errors import WechatRefused

BLOCK_BITS = 256
RANDOM_BYTES = 16


def sign(*parts: str) -> str:
    """SHA-1 in hex of the parts, sorted and joined."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def check_signature(signature: str, *parts: str) -> None:
    """Raises WechatRefused unless this signs these parts."""
    if not hmac.compare_digest(signature.encode(), sign(*parts).encode()):
        raise WechatRefused("The signature is wrong.")


def decrypt(encoding_key: str, app_id: str, cipher_text: str) -> str:
    """The XML inside. Raises WechatRefused for what was tampered with or is for another account."""
    try:
        decryptor = _cipher(encoding_key).decryptor()
        padded = decryptor.update(base64.b64decode(cipher_text, validate=True))
        padded += decryptor.finalize()
        unpadder = PKCS7(BLOCK_BITS).unpadder()
        plain = unpadder.update(padded) + unpadder.finalize()
        (length,) = struct.unpack(">I", plain[RANDOM_BYTES : RANDOM_BYTES + 4])
        body = plain[RANDOM_BYTES + 4 :]
        text, owner = body[:length].decode(), body[length:].decode()
    except (ValueError, binascii.Error, struct.error) as error:
        raise WechatRefused("The message cannot be decrypted.") from error
    if not hmac.compare_digest(owner.encode(), app_id.encode()):
        raise WechatRefused("The message is for another account.")
    return text


def encrypt(encoding_key: str, app_id: str, text: str, random: bytes | None = None) -> str:
    """Base64 of the cipher text of this XML. `random`: 16 bytes, for tests."""
    content = text.encode()
    salt = os.urandom(RANDOM_BYTES) if random is None else random
    plain = salt + struct.pack(">I", len(content)) + content + app_id.encode()
    padder = PKCS7(BLOCK_BITS).padder()
    encryptor = _cipher(encoding_key).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def _cipher(encoding_key: str) -> Cipher[modes.CBC]:
    """Raises ValueError for a key that is not 43 characters of base64."""
    key = base64.b64decode(encoding_key + "=", validate=True)
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
