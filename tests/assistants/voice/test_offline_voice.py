"""The offline voice itself, where requirements-voice.txt is installed: VOICE_PYTHON names it."""

import io
import json
import wave

import pytest

from assistants.models import Assistant
from assistants.voice.audio import convert, read_recording
from assistants.voice.offline import OfflineEngine, offered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.skipif(not offered().hear, reason="requirements-voice.txt is not installed"),
]


def test_english_is_spoken_and_heard_again():
    engine = OfflineEngine()
    spoken = engine.speak("How do I return an order?", "en", "wav")
    mp3, seconds = convert(spoken, "mp3", 60)
    assert 1 < seconds < 5
    heard = engine.hear(read_recording(mp3), "en")
    assert "return" in heard.lower()


def test_chinese_is_spoken_in_a_plausible_length():
    spoken = OfflineEngine().speak("订单可在三十天内退货，运费为二十五元。", "zh", "wav")
    with wave.open(io.BytesIO(spoken)) as sound:
        assert 2 < sound.getnframes() / sound.getframerate() < 12


def test_a_spoken_question_gets_the_typed_one_s_answer(live, api, token):
    Assistant.objects.update(voice="offline")
    client = api(token)
    address = "/v1/assistants/shop-help/consult"
    typed = client.post(address, {"text": "how do i return an order"}).json()
    audio = io.BytesIO(OfflineEngine().speak("How do I return an order?", "en", "wav"))
    audio.name = "question.wav"
    spoken = client.post(address, {"audio": audio}, format="multipart")
    assert spoken.status_code == 200, spoken.content
    assert spoken.json()["answer"] == typed["answer"]
    heard = client.get(spoken.json()["voice"]["url"])
    assert (heard.status_code, heard["Content-Type"]) == (200, "audio/mpeg")
    chinese = client.post(address, {"audio": "UklGRgAAAABXQVZF", "language": "zh"})
    assert chinese.status_code == 409
    assert "only English is recognised" in json.dumps(chinese.json())
