"""The offline voice itself, where requirements-voice.txt is installed: VOICE_PYTHON names it."""

import csv
import io
import json
import random
import wave
from collections import defaultdict

import pytest

from assistants.knowledge.importing import add_source
from assistants.models import Assistant
from assistants.versions import building, gate
from assistants.voice.audio import convert, read_recording
from assistants.voice.offline import OfflineEngine, offered
from tests.assistants.conftest import COLUMNS, MAPPING, store_table

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


@pytest.mark.nightly
def test_fifty_spoken_questions_get_the_answers_of_the_typed_ones(
    assistant, project, alice, shared, api, token
):
    """CLINC150: 150 answers of ten phrasings. Questions are those that are answered when typed."""
    rows = _clinc(shared / "data/clinc150_faq/train.csv", each=10)
    table = [(question, intent, f"This is about {intent}.") for question, intent in rows]
    add_source(assistant, store_table(project, COLUMNS, table), MAPPING, alice)
    version = building.create_version(assistant, alice)
    assert building.build_pending() == 1
    version.refresh_from_db()
    gate.publish(version, alice, why_worse="A benchmark.")
    Assistant.objects.update(voice="offline")
    client, engine, address = api(token), OfflineEngine(), "/v1/assistants/shop-help/consult"
    same = asked = 0
    for question, _ in random.Random(1).sample(_clinc(shared / "data/clinc150_faq/val.csv"), 150):
        typed = client.post(address, {"text": question}).json()
        if typed["route"] != "answer":
            continue
        audio = io.BytesIO(engine.speak(question, "en", "wav"))
        audio.name = "question.wav"
        reply = client.post(address, {"audio": audio, "voice": "false"}, format="multipart")
        spoken = reply.json()
        assert reply.status_code == 200, (question, spoken)
        asked += 1
        same += spoken["answer"] == typed["answer"]
        if spoken["answer"] != typed["answer"]:
            print(f"{question!r} was heard as {spoken['heard']!r}: {spoken['answer']}")
        if asked == 50:
            break
    print(f"{same} of {asked} spoken questions got the typed one's answer")
    assert asked == 50
    assert same >= 45


def _clinc(path, each=None):
    rows = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row["intent"]].append(row["text"])
    return [(text, intent) for intent, texts in rows.items() for text in texts[:each]]
