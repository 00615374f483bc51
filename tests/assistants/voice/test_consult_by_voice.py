"""Spoken questions and spoken replies through POST consult, with a real audio server behind."""

import base64
import io
import wave
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.timezone import now

from assistants.conversations.privacy import erase_visitors, find_visitors
from assistants.conversations.spoken import delete_expired as delete_expired_speech
from assistants.lifecycle import add_channel
from assistants.models import Assistant, Channel, Message, Speech, SpokenReply
from billing.models import UsageEvent
from billing.pricing import supersede
from tests.assistants.voice.conftest import SPOKEN_QUESTION
from tests.assistants.voice.recordings import record

pytestmark = pytest.mark.django_db
CONSULT = "/v1/assistants/shop-help/consult"


def ask(client, audio, **more):
    """One spoken question, as a form with a file."""
    file = SimpleUploadedFile("question.webm", audio, content_type="audio/webm")
    return client.post(CONSULT, {"audio": file, **more}, format="multipart")


def used(kind):
    return list(UsageEvent.objects.filter(kind=kind).values_list("units", flat=True))


def path_of(answer):
    return answer.json()["voice"]["url"].removeprefix("http://localhost:8000")


@pytest.mark.slow
def test_a_spoken_question_is_answered_and_the_reply_heard(api, token, voiced, audio_server):
    client = api(token)
    answer = ask(client, record("webm", 3))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["heard"], body["route"]) == (SPOKEN_QUESTION, "answer")
    assert body["usage"]["voice_seconds"] == pytest.approx(3, abs=0.1)
    assert body["voice"]["format"] == "mp3"
    assert body["voice"]["seconds"] is None
    assert audio_server.asked == []  # Nothing is spoken before somebody fetches it.
    [heard] = audio_server.heard
    assert heard.key == "Bearer sk-voice"
    assert heard.fields == {"model": "ears-1", "response_format": "json", "language": "en"}
    with wave.open(io.BytesIO(heard.audio)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
    first, second = client.get(path_of(answer)), client.get(path_of(answer))
    assert (first.status_code, first["Content-Type"]) == (200, "audio/mpeg")
    assert first.content == second.content
    assert "no-store" in first["Cache-Control"]
    [asked] = audio_server.asked  # Once for both.
    assert asked["input"] == body["response"]
    assert (asked["model"], asked["voice"], asked["response_format"]) == ("mouth-1", "alloy", "mp3")
    again = ask(client, record("ogg", 1)).json()
    assert again["voice"]["seconds"] == pytest.approx(2, abs=0.2)  # Spoken before.
    assert client.get(again["voice"]["url"]).status_code == 200
    assert len(audio_server.asked) == 1
    assert used("voice-in-seconds") == [3, 1]
    assert used("voice-out-characters") == [len(body["response"])]
    stored = Message.objects.filter(author="visitor").values_list("text", flat=True)
    assert set(stored) == {SPOKEN_QUESTION}


def test_a_recording_comes_as_base64_too_and_wav_goes_out(api, token, voiced):
    client = api(token)
    audio = base64.b64encode(record("m4a", 1)).decode()
    for text in (audio, f"data:audio/mp4;base64,{audio}"):
        answer = client.post(CONSULT, {"audio": text, "voice": {"format": "wav"}})
        assert answer.json()["voice"]["format"] == "wav", answer.content
    heard = client.get(path_of(answer))
    assert heard["Content-Type"] == "audio/wav"  # Made of the mp3 that came.
    with wave.open(io.BytesIO(heard.content)) as sound:
        assert sound.getnframes() > 40_000


def test_a_written_question_is_spoken_only_if_asked(api, token, voiced):
    client = api(token)
    for sent, format_name in (
        ({}, None),
        ({"voice": True}, "mp3"),
        ({"voice": {"format": "wav"}}, "wav"),
        ({"voice": {}}, "mp3"),
        ({"voice": False}, None),
    ):
        answer = client.post(CONSULT, {"text": "how do i return an order"} | sent).json()
        assert answer["heard"] is None
        assert (answer["voice"] or {}).get("format") == format_name


def test_a_spoken_question_is_not_answered_aloud_where_that_is_declined(api, token, voiced):
    assert ask(api(token), record("wav", 1), voice="false").json()["voice"] is None
    assert ask(api(token), record("wav", 1), voice="wav").json()["voice"]["format"] == "wav"


def test_what_makes_no_sense_is_named(api, token, voiced):
    client = api(token)
    for voice in (1, "loud", {"format": "flac"}, {"speed": 2}, None, ["mp3"], "[" * 999):
        answer = client.post(CONSULT, {"text": "how do i return an order", "voice": voice})
        assert answer.json()["error"]["param"] == "voice", (voice, answer.content)
    for audio in ("no base64!", "", 7, None, ["aa"], {"a": 1}, "data:audio/ogg;base64"):
        answer = client.post(CONSULT, {"audio": audio})
        assert answer.json()["error"]["param"] == "audio", (audio, answer.content)
    for sent in ({"text": "x", "audio": "UklGRg=="}, {}):
        assert client.post(CONSULT, sent).status_code == 400
    assert not Message.objects.exists()


@pytest.mark.slow
def test_a_recording_of_a_wrong_kind_or_size_is_a_clear_refusal(api, token, voiced, audio_server):
    client = api(token)
    zipped = ask(client, b"PK\x03\x04" + b"\x00" * 100)
    assert (zipped.status_code, zipped.json()["error"]["code"]) == (400, "invalid_audio")
    large = ask(client, b"OggS" + b"\x00" * 5_000_001)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "audio_too_large")
    long = ask(client, record("ogg", 61))
    assert (long.status_code, long.json()["error"]["param"]) == (400, "audio")
    assert "60 seconds" in long.json()["error"]["message"]
    assert audio_server.heard == []
    assert not Message.objects.exists()


@pytest.mark.slow
def test_refused_and_failed_recordings_cost_nothing_and_are_not_kept(
    api, token, voiced, audio_server
):
    client = api(token)
    audio_server.transcript = " … "
    silent = ask(client, record("mp3", 1))
    assert (silent.status_code, silent.json()["error"]["code"]) == (400, "invalid_audio")
    for status in (500, 404, 302):
        audio_server.status = status
        failed = ask(client, record("mp3", 1))
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "voice_unavailable")
    audio_server.status, audio_server.transcript = 200, "who painted the mona lisa"
    refused = ask(client, record("mp3", 1)).json()
    assert refused["route"] == "refuse"
    assert client.get(refused["voice"]["url"]).status_code == 200
    assert not UsageEvent.objects.filter(kind__startswith="voice").exists()


def test_a_reply_that_cannot_be_spoken_says_so_and_may_be_tried_again(
    api, token, voiced, audio_server
):
    client = api(token)
    answer = client.post(CONSULT, {"text": "how do i return an order", "voice": True})
    for broken in (b"", b"PK\x03\x04", b"<html>", b"RIFF\x00\x00\x00\x00WAVEdata"):
        audio_server.spoken = broken
        failed = client.get(path_of(answer))
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "voice_unavailable")
    assert not UsageEvent.objects.filter(kind="voice-out-characters").exists()
    audio_server.spoken = record("wav", 2)
    assert client.get(path_of(answer)).status_code == 200
    assert used("voice-out-characters") == [len(answer.json()["response"])]


def test_the_same_message_is_heard_once(api, token, voiced, audio_server):
    client = api(token)
    first = ask(client, record("ogg", 1), message_id="m1", visitor="v").json()
    again = ask(client, record("ogg", 1), message_id="m1", visitor="v").json()
    assert (again["id"], again["voice"]) == (first["id"], first["voice"])
    assert len(audio_server.heard) == 1
    assert used("voice-in-seconds") == [1]


def test_while_a_person_answers_a_spoken_question_costs_nothing(api, token, voiced, audio_server):
    client = api(token)
    audio_server.transcript = "I want to talk to a person"
    handed = ask(client, record("ogg", 1), visitor="v").json()
    assert handed["handed_over"]
    waiting = ask(client, record("ogg", 1), visitor="v").json()
    assert (waiting["route"], waiting["voice"]) == ("person", None)
    assert waiting["heard"] == audio_server.transcript
    assert not UsageEvent.objects.filter(kind__startswith="voice").exists()


def test_a_rate_is_charged_and_named_on_the_usage_page(api, token, voiced, alice, client_of):
    supersede("voice-in-seconds", 100_000)
    supersede("voice-out-characters", 15_000)
    client = api(token)
    answer = ask(client, record("webm", 2.2))
    client.get(path_of(answer))
    characters = len(answer.json()["response"])
    usage = client.get("/api/v1/usage").json()
    assert [(use["kind"], use["units"], use["amount_micros"]) for use in usage["voice"]] == [
        ("voice-in-seconds", 3, 300),
        ("voice-out-characters", characters, characters * 15),
    ]
    [row] = usage["deployments"]
    assert row["source"] == voiced.source
    assert row["net_micros"] == usage["total_micros"] == 300 + characters * 15
    assert row["tokens"] == 0  # Seconds and characters are no tokens.
    page = client_of(alice).get(f"/teams/{voiced.team.slug}/usage/").content.decode()
    assert "Recognising speech" in page
    assert f"{characters} characters" in page
    prices = client_of(alice).get("/pricing/").content.decode()
    assert "$0.006 per minute" in prices
    assert "$0.015 per thousand characters" in prices
    table = (
        client_of(alice)
        .get(f"/teams/{voiced.team.slug}/usage/export.csv?by=voice")
        .content.decode()
    )
    assert f"voice-out-characters,{characters},1," in table


def test_voice_without_a_rate_is_free_and_on_no_price_list(client):
    assert "Recognising speech" not in client.get("/pricing/").content.decode()


@pytest.mark.slow
def test_only_the_asker_opens_a_spoken_reply(
    api, token, mallory_token, voiced, alice, mallory_project_assistant
):
    answer = api(token).post(CONSULT, {"text": "how do i return an order", "voice": True})
    path = path_of(answer)
    other = add_channel(voiced, Channel.Kind.API, alice, name="Other")
    strangers = [
        api(mallory_token).get(path),
        Client().get(path),
        Client().get(path, headers={"Authorization": f"Bearer {other.public_key}"}),
        api(mallory_token).get(path.replace("shop-help", mallory_project_assistant.name)),
        api(token).get(path[:-1] + ("A" if path[-1] != "A" else "B")),
    ]
    assert [stranger.status_code for stranger in strangers] == [404, 401, 404, 404, 404]
    assert not Speech.objects.exists()
    assert api(token).get(path, HTTP_ACCEPT="audio/mpeg").status_code == 200


@pytest.fixture
def mallory_project_assistant(other_team, mallory):
    from assistants.lifecycle import create_assistant
    from projects.models import Project

    return create_assistant(Project.objects.create(team=other_team, name="P"), "theirs", mallory)


def test_after_a_day_nothing_of_it_is_left(api, token, voiced):
    client = api(token)
    answer = client.post(CONSULT, {"text": "how do i return an order", "voice": True})
    client.get(path_of(answer))
    delete_expired_speech()
    assert client.get(path_of(answer)).status_code == 200
    a_day_ago = now() - timedelta(hours=24)
    SpokenReply.objects.update(created_at=a_day_ago)
    assert client.get(path_of(answer)).status_code == 404  # Before it is deleted, too.
    Speech.objects.update(made_at=a_day_ago)
    delete_expired_speech()
    assert not SpokenReply.objects.exists()
    assert not Speech.objects.exists()


def test_what_was_spoken_to_an_erased_visitor_is_erased(api, token, voiced, alice):
    client = api(token)
    sent = {"text": "how do i return an order", "voice": True, "visitor": "eve"}
    client.get(path_of(client.post(CONSULT, sent)))
    assert Speech.objects.count() == 1
    erase_visitors(voiced, find_visitors(voiced, "eve"), alice)
    assert not Speech.objects.exists()
    assert not SpokenReply.objects.exists()


def test_without_a_voice_on_the_server_the_refusal_says_so(api, token, live):
    client = api(token)
    for voice in ("off", "browser"):
        Assistant.objects.update(voice=voice)
        deaf = ask(client, record("ogg", 1))
        mute = client.post(CONSULT, {"text": "how do i return an order", "voice": True})
        assert (deaf.status_code, mute.status_code) == (409, 409)
        assert deaf.json()["error"]["code"] == mute.json()["error"]["code"] == "voice_off"
    assert not Message.objects.exists()


def test_a_spent_daily_budget_stops_the_voice_before_it_costs(api, token, voiced, audio_server):
    Assistant.objects.update(daily_budget_micro=0)
    spent = ask(api(token), record("ogg", 1))
    assert spent.status_code == 503
    assert "budget" in spent.json()["error"]["message"]
    assert audio_server.heard == []
