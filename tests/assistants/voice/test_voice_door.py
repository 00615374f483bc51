"""Recordings of the largest size through granian and the guard, as a customer sends them."""

import base64
import json

import httpx
import pytest

from assistants.models import Assistant
from tests.assistants.voice.recordings import record
from tests.web.guard.served import web_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


@pytest.mark.slow
def test_five_megabytes_come_in_and_more_do_not(assistant, token):
    """Without a voice the refusal says that the recording itself was read."""
    Assistant.objects.update(state="live")
    audio = record("wav", 52, rate=48_000)
    assert 4_900_000 < len(audio) < 5_000_000
    headers = {"Authorization": f"Bearer {token.secret}"}
    encoded = {**headers, "Content-Type": "application/json"}
    large = audio + b"\x00" * 150_000
    with web_process() as served:
        address = f"http://127.0.0.1:{served.port}/v1/assistants/{assistant.name}/consult"

        def send(**request):
            answer = httpx.post(address, timeout=60, **({"headers": headers} | request))
            return answer.status_code, answer.json()["error"]["code"]

        def as_base64(content):
            body = json.dumps({"audio": base64.b64encode(content).decode()})
            return send(content=body, headers=encoded)

        assert send(files={"audio": audio})[0] == 409
        assert as_base64(audio)[0] == 409
        assert send(files={"audio": large}) == (413, "audio_too_large")
        assert as_base64(large) == (413, "audio_too_large")
        assert as_base64(b"\x00" * 8_000_000)[0] == 413  # Beyond what the door lets in.
