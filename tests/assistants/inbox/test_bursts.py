"""Messages that come in quick succession: each is kept, and they are answered once."""

import threading
import time

import pytest
from django.db import connection
from django.test import Client

from assistants.conversations import bursts, state
from assistants.conversations.consulting import Question, consult
from assistants.lifecycle import add_channel
from assistants.models import Answer, Channel, Conversation, Decision, Message, Visitor
from assistants.review.judging import judge

SECONDS = 0.8
PARTS = ["how do i", "return", "an order"]


@pytest.fixture
def channel(live, alice) -> Channel:
    return add_channel(live.assistant, "web", alice, allowed_origins=["https://shop.test"])


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """What the requests slept; nobody really does."""
    slept: list[float] = []
    monkeypatch.setattr(bursts.time, "sleep", slept.append)
    monkeypatch.setattr(bursts, "BURST_SECONDS", SECONDS)
    return slept


def all_at_once(calls, gap=0.15):
    """What each returns, begun `gap` seconds after one another."""
    results = [None] * len(calls)

    def work(place):
        results[place] = calls[place]()
        connection.close()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
        time.sleep(gap)
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("kind", ["web", "wechat"])
def test_three_messages_are_one_question_and_one_answer(live, alice, kind, monkeypatch):
    monkeypatch.setattr(bursts, "BURST_SECONDS", SECONDS)
    channel = add_channel(live.assistant, kind, alice, allowed_origins=[])
    replies = all_at_once(
        [
            lambda part=part, n=n: consult(
                channel, Question(part, visitor="v", external_id=f"m{n}", language="en")
            )
            for n, part in enumerate(PARTS)
        ]
    )
    assert [reply.route for reply in replies] == ["pending", "pending", "answer"]
    said = list(Message.objects.order_by("seq").values_list("author", "text"))
    assert said[:3] == [("visitor", part) for part in PARTS]
    assert [author for author, _ in said[3:]] == ["bot"]
    decision = Decision.objects.get()
    assert decision.question == "how do i\nreturn\nan order"
    assert decision.answer_key == "return-an-order"
    again = consult(channel, Question(PARTS[0], visitor="v", external_id="m0"))
    assert (again.route, again.response) == ("answer", said[3][1])  # As WeChat's next try asks.
    assert Message.objects.count() == 4


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_widget_keeps_each_message_and_shows_one_answer(channel, monkeypatch):
    monkeypatch.setattr(bursts, "BURST_SECONDS", SECONDS)
    path = f"/w/{channel.public_key}/messages"
    token = Client().get(path).json()["visitor"]

    def post(text):
        answer = Client().post(
            path, {"text": text, "id": text}, content_type="application/json",
            headers={"X-Lathe-Visitor": token},
        )  # fmt: skip
        return [one["author"] for one in answer.json()["messages"]]

    first, last = all_at_once([lambda: post("how do i return"), lambda: post("an order")])
    assert "bot" not in first
    assert last == ["visitor", "visitor", "bot"]


@pytest.mark.django_db
def test_a_single_message_waits_once_and_a_programs_never(live, channel, waits):
    assert consult(channel, Question("how do i return an order", visitor="v")).route == "answer"
    assert waits == [SECONDS]
    decision = Decision.objects.get()
    assert decision.burst == ""
    assert decision.step_ms["total"] < SECONDS * 1000
    api = live.assistant.channels.get(kind="api")
    assert consult(api, Question("how do i return an order", visitor="v")).route == "answer"
    assert waits == [SECONDS]


@pytest.mark.django_db
def test_nobody_waits_while_a_person_answers(channel, alice, waits):
    talk = consult(channel, Question("how do i return an order", visitor="v")).conversation
    waits.clear()
    state.hand_over(talk, "rule")
    state.take(talk, alice)
    consult(channel, Question("hello?", visitor="v"))
    assert waits == []
    state.reply(talk, alice, "Here I am.")
    state.return_to_bot(talk, alice)
    decided = consult(channel, Question("how do i track my parcel", visitor="v")).decision
    assert decided.question == "how do i track my parcel"  # What the person answered is read.


@pytest.mark.django_db
def test_what_comes_while_the_answer_is_written_is_read_and_none_is_lost(channel):
    visitor = Visitor.objects.create(channel=channel, external_hash="a" * 64)
    talk = Conversation.objects.create(channel=channel, visitor=visitor)

    def write(text, author=Message.Author.VISITOR):
        return state.append_message(talk, author, text)

    first = write("one")
    assert bursts._read_burst(talk, first) == "one"  # Now it is being answered.
    second = write("two")
    write("the answer to one", Message.Author.BOT)
    third = write("three")
    assert bursts._read_burst(talk, second) is None
    assert bursts._read_burst(talk, third) == "two\nthree"
    assert bursts._read_burst(talk, third) is None  # Nothing is read twice.
    second.refresh_from_db()
    assert second.read_with == third


@pytest.mark.django_db
def test_a_burst_is_taught_as_the_whole_question(live, channel, alice):
    visitor = Visitor.objects.create(channel=channel, external_hash="a" * 64)
    talk = Conversation.objects.create(channel=channel, visitor=visitor)
    last = [state.append_message(talk, "visitor", part) for part in ("may my", "goat in")][-1]
    decision = Decision.objects.create(message=last, route="refuse", burst="may my\ngoat in")
    judge(live.assistant, decision.pk, "should_have_answered", alice, answer_key="store-hours")
    taught = Answer.objects.get(key="store-hours").phrasings.get(origin="correction")
    assert taught.text == "may my\ngoat in"


@pytest.mark.slow
@pytest.mark.django_db
def test_what_was_written_first_stands_first_though_its_request_comes_later(channel, live):
    """A browser sends two messages of one moment on two connections."""
    client, address = Client(), f"/w/{channel.public_key}/messages"
    visitor = client.get(address).json()["visitor"]

    def post(**sent):
        answer = client.post(
            address, sent, "application/json", headers={"X-Lathe-Visitor": visitor}
        )
        assert answer.status_code == 200, answer.content
        return [(one["author"], one["text"]) for one in answer.json()["messages"]]

    first, second = {"id": "1", "text": "how do i return"}, {"id": "2", "text": "an order"}
    said = post(**second, before=[first])
    assert said[:2] == [("visitor", first["text"]), ("visitor", second["text"])]
    assert Decision.objects.get().question == "how do i return\nan order"
    assert post(**first) == said  # Its own request: stored, read and answered already.
    assert post(**second, before=[first]) == said
    third = {"id": "3", "text": "thank you"}
    broken = [{"id": "4", "text": "x" * 2001}, {"id": "5", "text": " "}, {"text": "no id"}, 7, None]
    assert post(**third, before=broken)[len(said)] == ("visitor", "thank you")


@pytest.mark.django_db
def test_a_message_brings_few_others_and_masks_them(channel, waits):
    before = {f"m{n}": f"question {n} of ann@example.com" for n in range(9)}
    consult(channel, Question("hi", visitor="v", before=before, external_id="q"))
    messages = Message.objects.filter(author="visitor").order_by("seq")
    assert [one.text for one in messages] == [f"question {n} of <e-mail>" for n in (6, 7, 8)] + [
        "hi"
    ]
