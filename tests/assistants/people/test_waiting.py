"""What is told to who waits: whoever hands over, in and out of the opening hours."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils.timezone import now

from assistants.conversations import state, watchdog
from assistants.lifecycle import change_assistant
from assistants.models import Conversation, Message
from assistants.people.waiting import usual_seconds

pytestmark = pytest.mark.django_db
ASK = "/v1/assistants/shop-help/consult"


@pytest.fixture(autouse=True)
def no_cache():
    cache.clear()


@pytest.fixture
def talk(live):
    channel = live.assistant.channels.get(kind="api")
    conversation = Conversation.objects.create(channel=channel, language="en")
    state.append_message(conversation, Message.Author.VISITOR, "hello")
    return conversation


def told(conversation):
    return conversation.messages.filter(author="system").latest("seq").text


def take_and_reply(channel, person, seconds):
    waited = Conversation.objects.create(channel=channel)
    state.append_message(waited, Message.Author.VISITOR, "hello")
    state.hand_over(waited, "rule")
    state.take(waited, person)
    said = state.reply(waited, person, "Here I am.")
    begun = said.at - timedelta(seconds=seconds)
    Conversation.objects.filter(pk=waited.pk).update(handed_over_at=begun)
    state.close(waited, Conversation.Outcome.RESOLVED)


def test_nobody_is_promised_anything_that_is_not_known(talk):
    state.hand_over(talk, "rule")
    assert told(talk) == "A person will take over. Your message is waiting for the next free one."


def test_it_tells_how_many_are_before_and_how_long_it_lately_took(talk, alice, live):
    for seconds in (30, 200, 240, 280):
        take_and_reply(talk.channel, alice, seconds)
    assert usual_seconds(live.assistant.team_id) is None  # Too few.
    take_and_reply(talk.channel, alice, 90_000)
    cache.clear()
    assert usual_seconds(live.assistant.team_id) == 240
    first = Conversation.objects.create(channel=talk.channel, language="zh")
    state.hand_over(first, "rule")
    assert told(first).endswith("客服会尽快回复。近来回复大约需要 4 分钟。")
    state.hand_over(talk, "rule")
    assert told(talk).endswith(
        "for the next free one. 1 visitor is before you. Lately a reply took about 4 minutes."
    )


def close_now(assistant, person):
    """Open on one day only, which is not today."""
    other = (now() + timedelta(days=3)).strftime("%a").lower()
    change_assistant(assistant, person, opening_hours={other: ["09:00", "10:00"]}, time_zone="UTC")


@pytest.mark.parametrize("how", ["asks", "rates", "is not answered"])
def test_outside_the_hours_it_says_so_whoever_hands_over(talk, alice, live, how, api, token):
    close_now(live.assistant, alice)
    talk = Conversation.objects.select_related("channel__assistant").get(pk=talk.pk)
    if how == "asks":
        body = api(token).post(ASK, {"text": "talk to a person"}, format="json").json()
        talk = Conversation.objects.get(pk=body["conversation"])
    elif how == "rates":
        state.rate(talk, 1)
    else:
        before = now() - timedelta(minutes=1)
        talk.messages.update(at=before)
        Conversation.objects.filter(pk=talk.pk).update(last_message_at=before)
        assert watchdog.hand_over_unanswered() == 1
    assert told(talk).startswith("Nobody is here at the moment. Your message waits until")
    assert "09:00–10:00 (UTC)" in told(talk)
