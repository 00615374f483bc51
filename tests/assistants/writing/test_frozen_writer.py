"""Who writes is frozen into a version: a change of it is tested, gated and rolled back."""

import json

import pytest

from accounts.webhooks import secret_encryption
from assistants import outgoing
from assistants.conversations.consulting import Question, consult
from assistants.errors import RefusedByGate
from assistants.lifecycle import change_assistant
from assistants.models import Channel, TestCase, Version
from assistants.outgoing import OutgoingFailed
from assistants.versions import gate
from assistants.writing.writers import settings_of, writer_of
from tests.assistants.made import learn

pytestmark = pytest.mark.django_db
QUESTION = "to whom do i hand hammocks before the tide turns"
ONE, OTHER = "https://one.example/v1", "https://other.example/v1"
SAID = {
    ONE: "Hand hammocks to the harbour master before the tide turns [1].",
    OTHER: "Hand hammocks to the harbour master [1].",
}
PRICES = {"writer_input_price_micro": 1_000_000, "writer_output_price_micro": 1_000_000}


@pytest.fixture
def providers(monkeypatch):
    """Two providers; what each was asked, and with which key."""
    asked = []

    def answers(url, body, *, sealed_key, **_):
        base = url.removesuffix("/chat/completions")
        key = secret_encryption.decrypt(sealed_key) if sealed_key else ""
        asked.append((base, key, json.loads(body.content)["model"]))
        if base not in SAID:
            raise OutgoingFailed("nobody is there")
        usage = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
        choices = [{"message": {"content": SAID[base]}}]
        yield json.dumps({"choices": choices, "usage": usage}).encode()

    monkeypatch.setattr(outgoing, "stream", answers)
    return asked


def let_write(assistant, alice, url, key, model="m-1", **more) -> Version:
    """A version that is live, whose writer was entered in the settings."""
    sealed = secret_encryption.encrypt(key)
    fields = {"writer_model": model, "writer_url": url, "writer_key": sealed, **PRICES, **more}
    change_assistant(assistant, alice, **fields)
    version = learn(assistant, alice)
    gate.publish(version, alice)
    assistant.refresh_from_db()
    return version


def ask(assistant):
    assistant.refresh_from_db()
    channel = Channel.objects.select_related("assistant__team").get(assistant=assistant, kind="api")
    return consult(channel, Question(text=QUESTION))


@pytest.mark.slow
def test_a_rollback_brings_back_what_answered_then_and_each_key_stays_with_its_address(
    documented, alice, providers
):
    assistant = documented.assistant
    assert ask(assistant).route == "quote"
    first = let_write(assistant, alice, ONE, "sk-one")
    reply = ask(assistant)
    assert (reply.route, reply.response) == ("written", SAID[ONE].removesuffix(" [1].") + ".")
    assert reply.decision.cost_micro == 100
    let_write(assistant, alice, OTHER, "sk-other", "m-2", writer_input_price_micro=9_000_000)
    assert ask(assistant).response == SAID[OTHER].removesuffix(" [1].") + "."
    assert "sk-" not in json.dumps(list(Version.objects.values_list("writer", flat=True)))
    del providers[:]
    assert gate.roll_back(assistant, alice) == first
    reply = ask(assistant)
    assert reply.response == SAID[ONE].removesuffix(" [1].") + "."
    assert providers == [(ONE, "sk-one", "m-1")]
    assert reply.decision.cost_micro == 100  # By the prices of the one that wrote.


@pytest.mark.slow
def test_a_change_of_the_writer_waits_for_the_next_version(documented, alice, providers):
    assistant = documented.assistant
    let_write(assistant, alice, ONE, "sk-one")
    change_assistant(assistant, alice, writer_model="m-9", writing_style="as a pirate")
    ask(assistant)
    assert providers[-1] == (ONE, "sk-one", "m-1")
    change_assistant(assistant, alice, writer_input_price_micro=3_000_000, writer_model="m-1")
    assert ask(assistant).decision.cost_micro == 90 * 3 + 10  # A price counts at once.


def test_a_locked_case_is_asked_of_the_new_writer(documented, alice, providers):
    assistant = documented.assistant
    let_write(assistant, alice, ONE, "sk-one")
    TestCase.objects.create(
        assistant=assistant, question=QUESTION, expects="contains",
        value="before the tide turns", locked=True,
    )  # fmt: skip
    with pytest.raises(RefusedByGate, match="locked question"):
        let_write(assistant, alice, OTHER, "sk-other", "m-2")
    assert ask(assistant).response == SAID[ONE].removesuffix(" [1].") + "."


def test_a_writer_that_does_not_answer_never_goes_live(documented, alice, providers):
    assistant = documented.assistant
    with pytest.raises(RefusedByGate, match="“gpt-typo” that writes does not answer"):
        let_write(assistant, alice, "https://typo.example/v1", "sk-one", "gpt-typo")
    assert ask(assistant).route == "quote"


def test_a_key_is_not_sent_to_another_address(documented, alice, providers):
    assistant = documented.assistant
    let_write(assistant, alice, ONE, "sk-one")
    change_assistant(assistant, alice, writer_url=OTHER)
    assert assistant.writer_key == ""
    assert writer_of(learn(assistant, alice)).sealed_key == ""
    change_assistant(assistant, alice, writer_url=ONE + "/beta")
    assert secret_encryption.decrypt(assistant.writer_key) == "sk-one"
    voiced = {"voice": "address", "voice_url": ONE, "speaking_model": "t"}
    change_assistant(assistant, alice, **voiced, voice_key=secret_encryption.encrypt("sk-voice"))
    assert secret_encryption.decrypt(assistant.voice_key) == "sk-voice"
    change_assistant(assistant, alice, voice_url=OTHER)
    assert assistant.voice_key == ""


def test_a_version_of_before_writes_as_its_assistant_does(documented, alice):
    Version.objects.filter(pk=documented.pk).update(writer=None)
    documented.refresh_from_db()
    change_assistant(documented.assistant, alice, writer_model="m-3", writing_style="short")
    assert (settings_of(documented).model, settings_of(documented).style) == ("m-3", "short")


def test_pages_and_api_name_who_writes(documented, alice, providers, client_of, api, token):
    assistant, browser = documented.assistant, client_of(alice)
    page = f"/assistants/{assistant.pk}/"
    assert "Who writes from documents was changed" not in browser.get(page).content.decode()
    change_assistant(assistant, alice, writer_model="m-1", writer_url=ONE)
    assert "Who writes from documents was changed" in browser.get(page).content.decode()
    version = learn(assistant, alice)
    words = " ".join(browser.get(page).content.decode().split())
    assert "m-1 writes (one.example)" in words
    assert "Who writes from documents was changed" not in words
    path = f"/api/v1/assistants/{assistant.pk}/versions/{version.number}"
    assert api(token).get(path).json()["writer"] == {"model": "m-1", "url": ONE, "style": ""}
