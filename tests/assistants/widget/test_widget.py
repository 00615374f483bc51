"""The widget as browsers meet it: its addresses, its policy and its size."""

import gzip
import json
from pathlib import Path

import pytest

from assistants import delivery
from assistants.answering.texts import DEFAULT_TEXTS
from assistants.conversations import state
from assistants.lifecycle import add_channel
from assistants.models import Channel, Conversation, Message
from assistants.rules.matching import Situation, applies
from assistants.rules.specs import BUILT_IN

pytestmark = pytest.mark.django_db
PROJECT = Path(__file__).resolve().parents[3]
SITE = "https://shop.example"


@pytest.fixture
def channel(live, alice) -> Channel:
    return add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=[SITE + "/"])


def post(client, channel, body, visitor=""):
    return client.post(
        f"/w/{channel.public_key}/messages", json.dumps(body), content_type="application/json",
        headers={"X-Lathe-Visitor": visitor},
    )  # fmt: skip


def test_loader_and_frame_are_small():
    loader = (PROJECT / "assistants/widget/loader.js").read_bytes()
    frame = [
        (PROJECT / name).read_bytes()
        for name in ("static/js/widget.js", "static/css/widget.css",
                     "templates/assistants/widget.html")
    ]  # fmt: skip
    assert len(gzip.compress(loader)) <= 3_000
    assert sum(len(gzip.compress(part)) for part in frame) <= 20_000


def test_only_the_allowed_origins_may_embed_the_frame(client, channel):
    answer = client.get(f"/w/{channel.public_key}/")
    policy = answer["Content-Security-Policy"]
    assert f"frame-ancestors {SITE} 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "default-src 'none'" in policy
    assert "X-Frame-Options" not in answer
    assert "<style" not in answer.content.decode()


def test_unknown_paused_and_originless_frames_look_alike_and_embed_nowhere(client, channel, live):
    pages = [client.get("/w/ch_unknown/")]
    Channel.objects.filter(pk=channel.pk).update(allowed_origins=[])
    pages.append(client.get(f"/w/{channel.public_key}/"))
    Channel.objects.filter(pk=channel.pk).update(allowed_origins=[SITE])
    type(live.assistant).objects.update(state="paused")
    pages.append(client.get(f"/w/{channel.public_key}/"))
    assert len({page.content for page in pages}) == 1
    assert all("frame-ancestors 'none'" in page["Content-Security-Policy"] for page in pages)


def test_other_pages_still_may_not_be_embedded(client):
    assert client.get("/")["X-Frame-Options"] == "DENY"


def test_a_visitor_asks_comes_back_and_sees_what_was_said(client, channel):
    first = post(client, channel, {"text": "how do i return an order", "id": "1"}).json()
    assert [message["author"] for message in first["messages"]] == ["visitor", "bot"]
    repeated = post(
        client, channel, {"text": "how do i return an order", "id": "1"}, first["visitor"]
    ).json()
    assert len(repeated["messages"]) == 2
    back = client.get(
        f"/w/{channel.public_key}/messages", headers={"X-Lathe-Visitor": first["visitor"]}
    ).json()
    assert back["messages"] == first["messages"]
    stranger = client.get(f"/w/{channel.public_key}/messages").json()
    assert stranger["messages"] == []
    forged = client.get(
        f"/w/{channel.public_key}/messages", headers={"X-Lathe-Visitor": "a:b:c"}
    ).json()
    assert forged["messages"] == []
    reply = first["messages"][1]["id"]
    rated = client.post(
        f"/w/{channel.public_key}/feedback", json.dumps({"id": reply, "helpful": True}),
        content_type="application/json",
    )  # fmt: skip
    assert rated.json() == {"ok": True}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"text": ""}', 400),
        (b'{"text": 5, "id": null}', 200),
    ],
)
def test_nothing_sent_by_a_browser_breaks_it(client, channel, body, status):
    answer = client.post(f"/w/{channel.public_key}/messages", body, content_type="application/json")
    assert answer.status_code == status
    rated = client.post(f"/w/{channel.public_key}/feedback", body, content_type="application/json")
    assert rated.status_code == 400


def test_the_eleventh_question_in_a_minute_is_refused_for_this_visitor_only(
    client, channel, monkeypatch
):
    from assistants.answering import limits

    monkeypatch.setattr(limits.time, "time", lambda: 1_000_000_000.0)
    token = post(client, channel, {"text": "hello"}).json()["visitor"]
    codes = [post(client, channel, {"text": "hello"}, token).status_code for _ in range(10)]
    assert codes == [200] * 9 + [429]
    assert post(client, channel, {"text": "hello"}).status_code == 200
    assert Message.objects.filter(author="visitor").count() == 11


def test_no_cookie_is_set(client, channel):
    client.get(f"/w/{channel.public_key}/")
    post(client, channel, {"text": "hello"})
    assert not client.cookies


def leave(client, channel, visitor, address):
    return client.post(
        f"/w/{channel.public_key}/contact", json.dumps({"email": address}),
        content_type="application/json", headers={"X-Lathe-Visitor": visitor},
    )  # fmt: skip


def test_a_person_is_one_click_away_from_a_refusal(client, channel):
    refused = post(client, channel, {"text": "can i bring my parrot into the opera", "id": "1"})
    choice = refused.json()["suggestions"][-1]
    assert choice == "Talk to a person"
    taken = post(client, channel, {"text": choice, "id": "2"}, refused.json()["visitor"]).json()
    assert (taken["state"], taken["suggestions"]) == ("waiting", [])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_offered_words_are_words_that_the_built_in_rule_hears(language):
    words = DEFAULT_TEXTS[language]["person"]
    assert applies(BUILT_IN.when, Situation(text=words, language=language))


def test_who_waits_may_leave_an_address_and_is_written_to(
    client, channel, alice, settings, mailoutbox
):
    settings.CAN_SEND_EMAIL = True
    body = post(client, channel, {"text": "where is order 7", "id": "1"}).json()
    visitor = body["visitor"]
    assert body["asks_for_address"] is False
    assert leave(client, channel, visitor, "ann@example.com").status_code == 400
    waits = post(client, channel, {"text": "talk to a person", "id": "2"}, visitor).json()
    assert waits["asks_for_address"] is True
    refused = leave(client, channel, visitor, "no address")
    assert refused.json() == {"error": "This is no e-mail address."}
    assert leave(client, channel, visitor, "ann@example.com").status_code == 200
    assert leave(client, channel, visitor, "other@example.com").status_code == 400
    conversation = Conversation.objects.get()
    assert "ann@" not in conversation.contact
    state.take(conversation, alice)
    state.reply(conversation, alice, "It comes on Monday.")
    assert delivery.deliver_due() == 1
    (sent,) = mailoutbox
    assert (sent.to, sent.subject) == (["ann@example.com"], "Re: where is order 7")
    assert sent.body == "It comes on Monday."


def test_no_address_is_asked_for_where_no_mail_can_be_sent(client, channel):
    waits = post(client, channel, {"text": "talk to a person", "id": "1"}).json()
    assert waits["asks_for_address"] is False
    assert leave(client, channel, waits["visitor"], "ann@example.com").status_code == 400


def rate(client, channel, visitor, csat):
    return client.post(
        f"/w/{channel.public_key}/rating", json.dumps({"csat": csat}),
        content_type="application/json", headers={"X-Lathe-Visitor": visitor},
    )  # fmt: skip


def test_a_closed_conversation_may_be_rated_once(client, channel, alice):
    visitor = post(client, channel, {"text": "talk to a person", "id": "1"}).json()["visitor"]
    assert rate(client, channel, visitor, 5).status_code == 400
    conversation = Conversation.objects.get()
    state.take(conversation, alice)
    state.close(conversation, Conversation.Outcome.RESOLVED)
    body = client.get(
        f"/w/{channel.public_key}/messages", headers={"X-Lathe-Visitor": visitor}
    ).json()
    assert body["asks_for_rating"] is True
    for wrong in (0, 6, "5", None, 1.5, [5], True):
        assert rate(client, channel, visitor, wrong).status_code == 400, wrong
    assert rate(client, channel, visitor, 4).status_code == 200
    assert rate(client, channel, visitor, 1).status_code == 400
    conversation.refresh_from_db()
    assert (conversation.csat, conversation.state) == (4, "closed")
