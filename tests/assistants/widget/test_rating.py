"""A visitor rates after an answer, and the worst rating brings a person."""

import json

import pytest

from assistants.lifecycle import add_channel
from assistants.models import Channel, Conversation

pytestmark = pytest.mark.django_db
ANSWERED, REFUSED = "how do i return an order", "who painted the mona lisa"


@pytest.fixture
def send(live, alice, client):
    """Posts to the widget's addresses as one visitor."""
    channel = add_channel(
        live.assistant, Channel.Kind.WEB, alice, allowed_origins=["https://shop.example"]
    )
    known = {"token": ""}

    def send(path, body):
        answer = client.post(
            f"/w/{channel.public_key}/{path}", json.dumps(body), content_type="application/json",
            headers={"X-Lathe-Visitor": known["token"]},
        )  # fmt: skip
        known["token"] = answer.json().get("visitor", known["token"])
        return answer

    return send


def test_the_worst_rating_after_an_answer_brings_a_person(send):
    said = send("messages", {"text": ANSWERED, "id": "1"}).json()
    assert (said["state"], said["asks_for_rating"]) == ("bot", True)
    assert send("rating", {"csat": 1}).status_code == 200
    talk = Conversation.objects.get()
    assert (talk.state, talk.handed_over_reason, talk.csat) == ("waiting", "csat_1", 1)
    assert talk.messages.order_by("seq").last().author == "system"
    assert send("rating", {"csat": 5}).status_code == 400  # Once.


def test_a_better_rating_is_kept_and_the_assistant_goes_on(send):
    send("messages", {"text": ANSWERED, "id": "1"})
    assert send("rating", {"csat": 4}).status_code == 200
    said = send("messages", {"text": ANSWERED, "id": "2"}).json()
    assert (said["state"], said["asks_for_rating"]) == ("bot", False)
    assert Conversation.objects.get().csat == 4


def test_what_is_no_answer_is_not_rated(send):
    said = send("messages", {"text": REFUSED, "id": "1"}).json()
    assert said["asks_for_rating"] is False
    assert send("rating", {"csat": 1}).status_code == 400
    assert Conversation.objects.get().state == "bot"
