"""An assistant that is live and hears and speaks by an address on loopback."""

from collections.abc import Iterator

import pytest

from accounts.webhooks import secret_encryption
from assistants.models import Assistant
from tests.assistants.voice.audio_server import AudioServer
from tests.assistants.voice.recordings import record

SPOKEN_QUESTION = "i would like to send back the shoes"


@pytest.fixture
def audio_server(settings) -> Iterator[AudioServer]:
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True
    server = AudioServer(transcript=SPOKEN_QUESTION, spoken=record("mp3", 2))
    yield server
    server.close()


@pytest.fixture
def voiced(live, audio_server) -> Assistant:
    """Of the live version, with voice by an address."""
    Assistant.objects.filter(pk=live.assistant.pk).update(
        voice="address", voice_url=audio_server.url,
        voice_key=secret_encryption.encrypt("sk-voice"), hearing_model="ears-1",
        speaking_model="mouth-1", voice_name="alloy",
    )  # fmt: skip
    live.assistant.refresh_from_db()
    return live.assistant
