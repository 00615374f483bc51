"""Who hears and speaks: set on the page and over the API, and what the widget is told of it."""

import gzip
import json
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.webhooks import secret_encryption
from assistants.conversations.spoken import require_speaking
from assistants.errors import VoiceOff, VoiceUnavailable
from assistants.lifecycle import add_channel
from assistants.models import Assistant, Channel
from assistants.voice import offline
from assistants.voice.audio import Recording
from assistants.voice.engines import engine_of
from assistants.voice.offline import Offered, OfflineEngine
from billing.models import UsageEvent
from tests.assistants.voice.conftest import SPOKEN_QUESTION
from tests.assistants.voice.recordings import record

pytestmark = pytest.mark.django_db
PROJECT = Path(__file__).resolve().parents[3]
FORM = {"promise": "90", "out_of_scope_share": "20", "retention_days": "30", "daily_budget": "",
        "voice": "address", "voice_url": "https://api.example.com/v1/audio/speech",
        "voice_key": "sk-secret", "hearing_model": "ears", "speaking_model": "mouth",
        "voice_name": "alloy"}  # fmt: skip


def test_a_voice_is_set_on_the_page_and_its_key_never_shown(assistant, alice, client_of):
    browser, address = client_of(alice), f"/assistants/{assistant.pk}/settings/"
    assert browser.post(address, FORM).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.voice, assistant.voice_url) == ("address", "https://api.example.com/v1")
    assert secret_encryption.decrypt(assistant.voice_key) == "sk-secret"
    page = browser.get(address).content.decode()
    assert "sk-secret" not in page
    assert assistant.voice_key not in page
    assert browser.post(address, FORM | {"voice_key": ""}).status_code == 302
    assistant.refresh_from_db()
    assert secret_encryption.decrypt(assistant.voice_key) == "sk-secret"  # Kept.


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"voice_url": ""}, "Enter the address of the voice."),
        ({"voice_url": "https://10.0.0.1/v1"}, "private"),
        ({"voice_url": "gopher://example.com"}, "address"),
        ({"hearing_model": "", "speaking_model": ""}, "Name a model"),
        ({"voice_name": ""}, "Name a voice"),
        ({"voice": "offline"}, "not installed"),
        ({"voice": "loud"}, "valid choice"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    assistant, alice, client_of, api, token, wrong, sentence, monkeypatch
):
    monkeypatch.setattr(offline, "_check", Offered)
    monkeypatch.setattr(offline, "_checked", None)
    page = client_of(alice).post(f"/assistants/{assistant.pk}/settings/", FORM | wrong)
    assert page.status_code == 200
    assert sentence in page.content.decode()
    names = ("voice", "voice_url", "hearing_model", "speaking_model", "voice_name")
    sent = {name: value for name, value in (FORM | wrong).items() if name in names}
    refused = api(token).patch(f"/api/v1/assistants/{assistant.pk}", sent)
    assert refused.status_code == 400, refused.content
    assistant.refresh_from_db()
    assert assistant.voice == "off"


def test_a_voice_is_set_over_the_api_and_its_key_not_told(assistant, api, token):
    client, address = api(token), f"/api/v1/assistants/{assistant.pk}"
    assert client.patch(address, {"voice": "browser"}).json()["voice"] == "browser"
    sent = {"voice": "address", "voice_url": "https://api.example.com/v1", "voice_key": "sk-secret",
            "hearing_model": "ears"}  # fmt: skip
    changed = client.patch(address, sent)
    assert changed.status_code == 200, changed.content
    assert "voice_key" not in changed.json()
    part = client.patch(address, {"voice_url": ""})  # It would leave the voice without an address.
    assert part.status_code == 400
    assistant.refresh_from_db()
    assert secret_encryption.decrypt(assistant.voice_key) == "sk-secret"


def test_without_the_server_there_is_a_sentence_and_no_error(voiced, settings, audio_server):
    recording = Recording(record("wav", 1), 1)
    audio_server.close()
    for change in ({}, {"voice_key": "sealed under a key that is gone"}):
        for name, value in change.items():
            setattr(voiced, name, value)
        with pytest.raises(VoiceUnavailable):
            engine_of(voiced).hear(recording, "en")
        with pytest.raises(VoiceUnavailable):
            engine_of(voiced).speak("Yes.", "en", "mp3")
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    with pytest.raises(VoiceUnavailable):  # The guard that webhooks have, too.
        engine_of(voiced).hear(recording, "en")


@pytest.fixture
def channel(live, alice) -> Channel:
    origins = ["https://shop.example"]
    return add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=origins)


def test_the_microphone_is_allowed_only_where_somebody_hears(client, channel):
    def loader() -> str:
        return client.get(f"/w/{channel.public_key}.js").content.decode()

    assert '"microphone"' not in loader()
    for voice, may_listen in (("browser", True), ("address", True), ("off", False)):
        Assistant.objects.update(voice=voice, voice_url="https://x.example", hearing_model="ears")
        assert ('"microphone"' in loader()) == may_listen
    Assistant.objects.update(voice="address", hearing_model="", speaking_model="mouth")
    assert '"microphone"' not in loader()
    assert '"microphone"' not in client.get("/w/ch_unknown.js").content.decode()


def test_a_frame_without_voice_has_nothing_of_it(client, channel):
    page = client.get(f"/w/{channel.public_key}/")
    assert "voice" not in page.content.decode()
    assert "media-src" not in page["Content-Security-Policy"]


def test_a_frame_with_voice_says_what_it_sends_where(client, channel, monkeypatch):
    Assistant.objects.update(voice="browser", languages=["en", "zh"])
    english = client.get(f"/w/{channel.public_key}/")
    assert "send the recording to their maker" in english.content.decode()
    assert "media-src blob:" in english["Content-Security-Policy"]
    chinese = client.get(f"/w/{channel.public_key}/", headers={"Accept-Language": "zh-CN"})
    assert "多数浏览器会把录音发送给其开发商" in chinese.content.decode()
    Assistant.objects.update(voice="offline")
    monkeypatch.setattr(offline, "_checked", None)
    monkeypatch.setattr(offline, "_check", lambda: Offered(("en",), ("en", "zh")))
    page = client.get(f"/w/{channel.public_key}/").content.decode()
    assert "data-hears" in page
    assert "data-speaks" in page
    page = client.get(f"/w/{channel.public_key}/", headers={"Accept-Language": "zh"})
    assert "data-hears" not in page.content.decode()  # Nobody hears Chinese offline.
    assert "data-speaks" in page.content.decode()


def test_loader_and_frame_stay_small_with_voice():
    frame = ("static/js/widget.js", "static/js/widget_voice.js", "static/css/widget.css",
             "templates/assistants/widget.html",
             "templates/assistants/_widget_voice.html")  # fmt: skip
    sizes = [len(gzip.compress((PROJECT / name).read_bytes())) for name in frame]
    assert sum(sizes) <= 20_000
    loader = (PROJECT / "assistants/widget/loader.js").read_text()
    assert len(gzip.compress(loader.replace("LATHE_ALLOW", '"microphone"').encode())) <= 3_000


def test_a_visitor_asks_by_voice_and_alone_hears_the_reply(client, channel, voiced):
    address = f"/w/{channel.public_key}/messages"
    file = SimpleUploadedFile("question", record("webm", 1), content_type="audio/webm")
    body = client.post(address, {"audio": file, "id": "1", "language": "en"}).json()
    assert [message["author"] for message in body["messages"]] == ["visitor", "bot"]
    assert body["messages"][0]["text"] == SPOKEN_QUESTION
    speech = f"/w/{channel.public_key}/{body['voice']['url']}"
    stranger = client.get(address).json()["visitor"]
    for visitor in ("", stranger, "a:b:c"):
        assert client.get(speech, headers={"X-Lathe-Visitor": visitor}).status_code == 404
    heard = client.get(speech, headers={"X-Lathe-Visitor": body["visitor"]})
    assert (heard.status_code, heard["Content-Type"]) == (200, "audio/mpeg")
    assert UsageEvent.objects.filter(kind="voice-out-characters").count() == 1
    written = client.post(
        address, json.dumps({"text": "how do i return an order", "id": "2", "voice": True}),
        content_type="application/json", headers={"X-Lathe-Visitor": body["visitor"]},
    ).json()  # fmt: skip
    assert written["voice"]["url"] != body["voice"]["url"]


def test_a_recording_of_a_visitor_that_cannot_be_heard_is_refused_with_a_sentence(
    client, channel, voiced
):
    address = f"/w/{channel.public_key}/messages"
    wrong = [{"audio": SimpleUploadedFile("q.zip", b"PK\x03\x04")}, {"text": "x"}, {"audio": "x"},
             {"audio": SimpleUploadedFile("q", b"OggS" * 1_300_000)}]  # fmt: skip
    answers = [client.post(address, sent) for sent in wrong]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 413]
    assert all(answer.json()["error"] for answer in answers)
    zipped = {"audio": SimpleUploadedFile("q.zip", b"PK\x03\x04")}
    chinese = client.post(address, zipped, headers={"Accept-Language": "zh-CN"})
    assert chinese.json()["error"].startswith("无法读取这段音频")


@pytest.mark.parametrize(
    ("language", "deaf", "mute"),
    [("en", "", ""), ("zh", "Offline, only English is recognised", ""),
     ("", "Say which language", "Offline, only English and Chinese"),
     ("de", "Offline, only English is recognised", "Offline, only English and Chinese")],
)  # fmt: skip
def test_offline_says_which_languages_it_has(monkeypatch, language, deaf, mute):
    monkeypatch.setattr(offline, "_checked", None)
    monkeypatch.setattr(offline, "_check", lambda: Offered(("en",), ("en", "zh")))
    engine = OfflineEngine()
    for reason, expected in ((engine.why_deaf(language), deaf), (engine.why_mute(language), mute)):
        assert reason.startswith(expected)
        assert bool(reason) == bool(expected)


def test_one_language_that_can_be_spoken_is_enough_to_ask_for_a_spoken_reply(monkeypatch):
    monkeypatch.setattr(offline, "_checked", None)
    monkeypatch.setattr(offline, "_check", lambda: Offered(("en",), ("en",)))
    assistant = Assistant(voice="offline", languages=["de", "en"])
    require_speaking(assistant, "")
    with pytest.raises(VoiceOff):
        require_speaking(assistant, "de")
    with pytest.raises(VoiceOff):
        require_speaking(Assistant(voice="offline", languages=["de"]), "")


def test_a_look_for_the_offline_voice_that_fails_changes_nothing(monkeypatch):
    known = Offered(("en",), ("en",))
    monkeypatch.setattr(offline, "CHECKED_FOR_SECONDS", -1)
    monkeypatch.setattr(offline, "_checked", (0.0, known))
    monkeypatch.setattr(offline, "_check", lambda: None)
    assert offline.offered() == known
    monkeypatch.setattr(offline, "_check", Offered)  # It was uninstalled.
    assert offline.offered() == Offered()


def test_offline_without_its_packages_is_no_error(settings, monkeypatch):
    for interpreter in ("/nowhere/python", "/bin/false", "/bin/echo"):
        monkeypatch.setattr(offline, "_checked", None)
        settings.VOICE_PYTHON = interpreter
        assert offline.offered() == Offered()
        assert "requirements-voice.txt" in OfflineEngine().why_deaf("en")
    for act in (lambda: OfflineEngine().hear(Recording(b"", 1), "en"),
                lambda: OfflineEngine().speak("Yes.", "en", "wav")):  # fmt: skip
        for interpreter in ("/bin/false", "/bin/echo", "/nowhere/python"):
            settings.VOICE_PYTHON = interpreter
            with pytest.raises(VoiceUnavailable):
                act()
