"""What a consultation may cost: statements, and the same answers from memory as from PostgreSQL."""

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assistants.answering import matching, phrasing_index
from assistants.answering.embedder import embed
from assistants.answering.phrasing_index import DatabaseIndex, MemoryIndex
from assistants.demo_data import generate_faq
from assistants.models import Decision, LanguageModel, Message
from engine.answering.terms import split_terms

pytestmark = pytest.mark.django_db
TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


def statements_of(ask):
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
    assert answer.status_code == 200, answer.content
    sent = [one["sql"] for one in captured.captured_queries]
    return answer.json(), [sql for sql in sent if not sql.startswith(TRANSACTION)]


def asking(client, text, **more):
    return lambda: client.post("/v1/assistants/shop-help/consult", {"text": text, **more})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "route", "most"),
    [
        ("how do i return an order", "answer", 6),
        ("who painted the mona lisa", "refuse", 6),
        ("how do i return an order, and what are your opening hours", None, 6),
    ],
)
def test_a_question_of_a_program_takes_six_statements(live, api, token, text, route, most):
    client = api(token)
    client.post("/v1/assistants/shop-help/consult", {"text": text})  # Loads what stays in memory.
    said, statements = statements_of(asking(client, text))
    assert route in (None, said["route"])
    assert len(statements) <= most, "\n".join(statements)


def test_a_known_visitors_next_question_takes_nine(live, api, token):
    client = api(token)
    first = client.post(
        "/v1/assistants/shop-help/consult", {"text": "how do i return an order", "visitor": "v"}
    ).json()
    ask = asking(client, "how do i return an order", visitor="v", message_id="2")
    said, statements = statements_of(ask)
    assert said["conversation"] == first["conversation"]
    assert len(statements) <= 9, "\n".join(statements)
    again, _ = statements_of(ask)
    assert (again["id"], again["response"]) == (said["id"], said["response"])
    rows = Message.objects.filter(conversation_id=said["conversation"]).order_by("seq")
    assert list(rows.values_list("seq", "author")) == [
        (1, "visitor"), (2, "bot"), (3, "visitor"), (4, "bot")
    ]  # fmt: skip
    moments = list(rows.values_list("at", flat=True))
    assert moments == sorted(moments)
    assert rows.last().conversation.last_message_at == moments[-1]
    decision = Decision.objects.get(pk=said["id"])
    assert (decision.message.seq, decision.reply.seq) == (3, 4)


def test_memory_and_postgresql_say_the_same_of_every_answer(live):
    row = LanguageModel.objects.get(version=live, language="en")
    kept = MemoryIndex(live.pk, "en", row.answers)
    asked = DatabaseIndex(live.pk, "en", row.answers)
    questions = [one.question for one in generate_faq(3, seed=5)][:20] + ["", "zzz qqq"]
    vectors = embed(live, questions)
    for question, vector in zip(questions, vectors, strict=True):
        terms = list(set(split_terms(question)))
        assert np.allclose(kept.cosines(vector), asked.cosines(vector), atol=2e-3)
        assert np.allclose(kept.term_scores(terms), asked.term_scores(terms))
        for key in row.answers[:5]:
            assert kept.first(key) == asked.first(key) != ""
            near, same = kept.nearest(key, vector), asked.nearest(key, vector)
            assert near == same
    assert kept.first("no-such-answer") == asked.first("no-such-answer") == ""
    assert kept.nearest("no-such-answer", vectors[0]) == ""


def test_what_is_too_large_for_memory_is_asked_of_postgresql(live, monkeypatch, api, token):
    client = api(token)
    body = client.post("/v1/assistants/shop-help/consult", {"text": "how do i return it"}).json()
    matching._models.clear()
    monkeypatch.setattr(phrasing_index, "ROWS_IN_MEMORY", 10)
    body = client.post("/v1/assistants/shop-help/consult", {"text": "how do i return it"}).json()
    matching._models.clear()
    for name in ("response", "route", "answer"):
        assert body[name] == body[name]
    assert abs(body["confidence"] - body["confidence"]) < 0.01
