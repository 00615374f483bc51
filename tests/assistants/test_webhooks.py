"""Programs hear of conversations that are closed and answers that are corrected, if they ask."""

import pytest

from accounts.models import Notice
from accounts.webhooks import endpoints
from assistants.conversations import state
from assistants.conversations.consulting import Question, consult
from assistants.models import Conversation

pytestmark = pytest.mark.django_db
EVENTS = ["conversation.closed", "answer.corrected"]


@pytest.fixture
def consultation(live):
    reply = consult(live.assistant.channels.get(), Question(text="can i bring my parrot"))
    return live.assistant, reply


def act(assistant, reply, token, api):
    key = assistant.answers.first().key
    judged = api(token).post(
        f"/api/v1/assistants/{assistant.pk}/judgements",
        {"decision": str(reply.decision.pk), "verdict": "should_have_answered", "answer": key},
        format="json",
    )
    assert judged.status_code == 201, judged.content
    state.close(reply.conversation, Conversation.Outcome.UNRESOLVED)
    return key


def test_what_a_webhook_asks_for_is_published(consultation, team, alice, token, api):
    endpoints.create(team, alice, url="https://acme.test/", events=EVENTS)
    key = act(*consultation, token, api)
    notices = {notice.event: notice.data for notice in Notice.objects.filter(event__in=EVENTS)}
    assert notices["answer.corrected"]["answer"] == key
    assert notices["conversation.closed"]["outcome"] == "unresolved"


def test_without_one_nobody_is_told(consultation, team, alice, token, api):
    endpoints.create(team, alice, url="https://acme.test/", events=["dataset.ready"])
    act(*consultation, token, api)
    assert not Notice.objects.filter(event__in=EVENTS).exists()
