"""Fields and responses for audio in the API."""

import base64
import binascii
import json
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation

from assistants.errors import AudioTooLarge
from assistants.models import Speech
from assistants.voice.audio import DEFAULT_FORMAT, KINDS, MAX_BYTES, MAX_SECONDS

MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
FORMATS = list(MEDIA_TYPES)
AUDIO_HELP = (
    f"A recording of at most {MAX_SECONDS} seconds and 5 MB: {KINDS}. A file of a multipart form,"
    " or base64 in JSON."
)
VOICE_HELP = (
    "Whether the reply is to be heard: true, false, or an object with the `format` wav or mp3."
    " Left out: if the question was spoken."
)


@extend_schema_field({"type": "string", "format": "binary", "description": AUDIO_HELP})
class AudioField(serializers.Field[bytes, Any, Any, Any]):
    """The bytes of a file, or of a base64 text. Raises AudioTooLarge."""

    default_error_messages = {
        "invalid": "Send a file of a multipart form, or base64.",
        "empty": "This recording is empty.",
    }

    def to_internal_value(self, data: Any) -> bytes:
        content = self._read(data)
        if not content:
            self.fail("empty")
        if len(content) > MAX_BYTES:
            raise AudioTooLarge(param="audio")
        return content

    def _read(self, data: Any) -> bytes:
        if isinstance(data, UploadedFile):
            if data.size is None or data.size > MAX_BYTES:
                raise AudioTooLarge(param="audio")
            return bytes(data.read())
        if not isinstance(data, str):
            self.fail("invalid")
        encoded = data.partition(",")[2] if data.startswith("data:") else data
        try:
            return base64.b64decode("".join(encoded.split()), validate=True)
        except (binascii.Error, ValueError):
            self.fail("invalid")


@extend_schema_field(
    {
        "description": VOICE_HELP,
        "oneOf": [
            {"type": "boolean"},
            {
                "type": "object",
                "properties": {"format": {"type": "string", "enum": FORMATS}},
            },
        ],
    }
)
class VoiceField(serializers.Field[str, Any, Any, Any]):
    """The format of the reply: "" for none. Forms write it as true, false, wav, mp3 or JSON."""

    default_error_messages = {
        "invalid": "Say true, false, or an object with the format wav or mp3."
    }

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except (ValueError, RecursionError):
                data = {"format": data}
        if isinstance(data, bool):
            return DEFAULT_FORMAT if data else ""
        if isinstance(data, dict) and data.keys() <= {"format"}:
            format_name = data.get("format", DEFAULT_FORMAT)
        else:
            format_name = None
        if not isinstance(format_name, str) or format_name not in FORMATS:
            self.fail("invalid")
        return format_name


class AnyAccepted(BaseContentNegotiation):
    """Ignores `Accept`: the response is audio, and errors are JSON."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def audio_response(speech: Speech) -> HttpResponse:
    """The audio, not to be stored by shared caches."""
    response = HttpResponse(bytes(speech.content), content_type=MEDIA_TYPES[speech.format])
    response["Cache-Control"] = "private, no-store"
    response["Content-Disposition"] = f'inline; filename="answer.{speech.format}"'
    return response
