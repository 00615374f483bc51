"""What masking changed is kept only where that is switched on: encrypted, for days, for people."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from assistants.consultations.originals import delete_expired
from assistants.conversations.privacy import erase_visitors, export_visitors, find_visitors
from assistants.lifecycle import change_assistant
from assistants.models import Conversation, Message
from assistants.tasks import delete_expired_conversations

pytestmark = pytest.mark.django_db
WRITTEN = "how do i return an order? write to maria@example.com, 刘 13912345678"
CONSULT = "/v1/assistants/shop-help/consult"


def ask(api, token, text=WRITTEN, visitor="v"):
    reply = api(token).post(CONSULT, {"text": text, "visitor": visitor})
    assert reply.status_code == 200, reply.content
    return Conversation.objects.get(pk=reply.json()["conversation"])


def message_of(talk) -> Message:
    return talk.messages.filter(author="visitor").latest("seq")


def test_off_by_default_nothing_but_the_masked_text_is_kept(live, api, token):
    talk = ask(api, token)
    assert "maria" not in message_of(talk).text
    assert message_of(talk).original == ""


def test_switched_on_it_is_kept_encrypted_and_people_of_the_inbox_read_it(
    live, api, token, alice, vera, client_of
):
    change_assistant(live.assistant, alice, original_days=3)
    talk = ask(api, token)
    stored = message_of(talk)
    assert "maria" not in stored.original + stored.text
    assert message_of(ask(api, token, "how do i track my parcel", "w")).original == ""
    page = client_of(alice).get(f"/conversations/{talk.pk}/").content.decode()
    assert "As it was written" in page
    assert "maria@example.com" in page
    path = f"/api/v1/assistants/{live.assistant_id}/conversations/{talk.pk}"
    assert api(token).get(path).json()["messages"][0]["original"] == WRITTEN
    assert client_of(vera).get(f"/conversations/{talk.pk}/").status_code == 404
    told = api(token).get(f"/v1/assistants/shop-help/conversations/{talk.pk}").content.decode()
    assert "maria" not in told  # The door of the one who asks keeps to the masked text.


def test_it_is_exported_and_erased_with_the_visitor(live, api, token, alice):
    assistant = live.assistant
    change_assistant(assistant, alice, original_days=3)
    ask(api, token)
    (exported,) = export_visitors(assistant, find_visitors(assistant, "v"), alice)
    assert exported["messages"][0]["original"] == WRITTEN
    assert exported["messages"][1]["original"] is None
    erase_visitors(assistant, find_visitors(assistant, "v"), alice)
    assert not Message.objects.exclude(original="").exists()


def test_it_is_deleted_after_its_days_and_the_message_stays(live, api, token, alice):
    change_assistant(live.assistant, alice, original_days=3)
    old, young = ask(api, token, visitor="a"), ask(api, token, visitor="b")
    for talk, hours in ((old, 73), (young, 71)):
        talk.messages.update(at=now() - timedelta(hours=hours))
    delete_expired_conversations()
    assert (message_of(old).original, message_of(young).original != "") == ("", True)
    assert message_of(old).text
    assert delete_expired() == 0


def test_switched_off_what_was_kept_is_deleted_at_once(live, api, token, alice, client_of):
    change_assistant(live.assistant, alice, original_days=3)
    talk = ask(api, token)
    assert message_of(talk).original
    sent = {"original_days": None}
    path = f"/api/v1/assistants/{live.assistant_id}"
    assert api(token).patch(path, sent, format="json").json()["original_days"] is None
    assert message_of(talk).original == ""


def test_the_page_switches_it_on(live, alice, client_of):
    address = f"/assistants/{live.assistant_id}/settings/"
    sent = {"promise": "90", "out_of_scope_share": "20", "retention_days": "30", "voice": "off"}
    browser = client_of(alice)
    assert browser.post(address, sent | {"original_days": "14"}).status_code == 302
    live.assistant.refresh_from_db()
    assert live.assistant.original_days == 14
    wrong = browser.post(address, sent | {"original_days": "0"})
    assert (wrong.status_code, live.assistant.original_days) == (200, 14)


def test_a_budget_below_a_cent_survives_the_settings_page(live, alice, client_of):
    assistant, browser = live.assistant, client_of(alice)
    change_assistant(
        assistant, alice, daily_budget_micro=4_000, writer_input_price_micro=15,
        writer_output_price_micro=1_500_000,
    )  # fmt: skip
    address = f"/assistants/{assistant.pk}/settings/"
    form = browser.get(address).context["form"]
    sent = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    assert (sent["daily_budget"], sent["writer_output_price"]) == ("0.004", "1.50")
    assert browser.post(address, sent).status_code == 302
    assistant.refresh_from_db()
    prices = (assistant.writer_input_price_micro, assistant.writer_output_price_micro)
    assert (assistant.daily_budget_micro, *prices) == (4_000, 15, 1_500_000)
