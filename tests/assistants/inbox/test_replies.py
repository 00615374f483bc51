"""What a person replies: suggestions, answers that were searched, and what all of it teaches."""

import re

import pytest

from assistants.answering import suggestions
from assistants.conversations import state
from assistants.models import Answer, Conversation, Decision, Judgement, Message, Phrasing
from tests.assistants.made import record

pytestmark = pytest.mark.django_db
QUESTION = "may my goat come along when i pick it up"


def hand_over(live, alice, route="refuse", key="", text=QUESTION, *, candidates=(), **facts):
    """A conversation of alice's whose last question was decided so."""
    decision = record(live.assistant, live, text, route, key)
    shown = [{"key": name, "probability": share, "cosine": 0.5} for name, share in candidates]
    Decision.objects.filter(pk=decision.pk).update(for_audit=False, candidates=shown, **facts)
    talk = decision.message.conversation
    state.hand_over(talk, "two_refusals")
    state.take(talk, alice)
    return talk, Decision.objects.get(pk=decision.pk)


def send(client, talk, text, answer="", question=1):
    path = f"/conversations/{talk.pk}/reply/"
    sent = client.post(path, {"text": text, "answer": answer, "question": question})
    assert sent.status_code == 302, sent.content
    return Message.objects.filter(conversation=talk).order_by("-seq").first()


def shown_answers(page: str) -> list[str]:
    """Keys of the suggestions, as their forms would send them."""
    return re.findall(r'name="answer" value="([^"]+)"', page)


@pytest.fixture
def client(client_of, alice):
    return client_of(alice)


def test_the_decisions_approved_candidates_are_suggested_with_their_probability(
    live, alice, client
):
    keys = list(live.assistant.answers.order_by("key").values_list("key", flat=True))
    Answer.objects.filter(key=keys[2]).update(state="retired")
    candidates = [(keys[4], 0.61), (keys[2], 0.2), (keys[0], 0.11), (keys[5], 0.07)]
    talk, _ = hand_over(live, alice, candidates=candidates)
    page = client.get(f"/conversations/{talk.pk}/").content.decode()
    assert shown_answers(page) == [keys[4], keys[0], keys[5]]
    assert f"{keys[4]} · 61.0%" in page
    retired = Answer.objects.get(key=keys[2])
    assert retired.text not in page


def test_where_candidates_are_few_the_nearest_approved_answers_are_suggested(
    live, alice, client, monkeypatch
):
    asked = []
    embed = suggestions.embed
    monkeypatch.setattr(suggestions, "embed", lambda *sent: asked.append(sent[1]) or embed(*sent))
    talk, _ = hand_over(live, alice, text="how do i return an order")
    page = client.get(f"/conversations/{talk.pk}/").content.decode()
    keys = shown_answers(page)
    assert len(keys) == 3
    assert keys[0] == "return-an-order"
    client.get(f"/conversations/{talk.pk}/messages/")
    assert asked == [["how do i return an order"]]  # Read once, however often the page is.


def test_asking_for_a_person_is_no_question(live, alice, client):
    talk, decision = hand_over(live, alice)
    state.append_message(talk, Message.Author.VISITOR, "talk to a human please")
    page = client.get(f"/conversations/{talk.pk}/messages/").content.decode()
    assert 'name="question" value="1"' in page
    send(client, talk, "Goats wait outside.", question=1)
    assert decision.judgement.text == "Goats wait outside."


def test_a_suggestion_sent_unchanged_teaches_its_question(live, alice, client):
    talk, decision = hand_over(live, alice)
    hours = Answer.objects.get(key="store-hours")
    said = send(client, talk, hours.text, "store-hours")
    assert (said.author, said.text, said.person) == ("person", hours.text, alice)
    judgement = decision.judgement
    assert judgement.verdict == "should_have_answered"
    assert (judgement.answer, judgement.text, judgement.person) == (hours, "", alice)
    taught = hours.phrasings.get(origin=Phrasing.Origin.CORRECTION)
    assert taught.text == QUESTION


def test_an_edited_suggestion_is_kept_and_teaches_nothing(live, alice, client):
    talk, decision = hand_over(live, alice)
    hours = Answer.objects.get(key="store-hours")
    send(client, talk, hours.text + " Goats wait outside.", "store-hours")
    judgement = decision.judgement
    assert (judgement.verdict, judgement.answer) == ("should_have_answered", hours)
    assert judgement.text.endswith("Goats wait outside.")
    assert judgement.taught_at is None
    assert not hours.phrasings.filter(origin="correction").exists()
    shown = client.get(f"/assistants/{live.assistant_id}/review/").content.decode()
    assert "Goats wait outside." not in shown  # It has an answer already.


def test_own_words_become_a_draft_by_one_click_and_never_live(live, alice, client):
    talk, decision = hand_over(live, alice)
    send(client, talk, "Goats wait outside. Ask ann@acme.test.")
    send(client, talk, "There is a meadow.")
    judgement = decision.judgement
    assert (judgement.verdict, judgement.answer) == ("should_have_answered", None)
    expected = "Goats wait outside. Ask <e-mail>.\n\nThere is a meadow."
    assert judgement.text == expected
    review = f"/assistants/{live.assistant_id}/review/"
    shown = client.get(review).content.decode()
    assert QUESTION in shown
    assert "There is a meadow." in shown
    made = client.post(f"/replies/{judgement.pk}/draft/")
    answer = Answer.objects.get(text=expected)
    assert made["Location"] == f"/answers/{answer.pk}/"
    assert (answer.state, answer.key) == ("draft", "may-my-goat-come-along-when-i-pick-it-up")
    assert [(one.text, one.origin) for one in answer.phrasings.all()] == [(QUESTION, "correction")]
    assert "There is a meadow." not in client.get(review).content.decode()
    assert client.post(f"/replies/{judgement.pk}/draft/").status_code == 404


def test_a_dismissed_reply_is_gone_and_makes_nothing(live, alice, client):
    talk, decision = hand_over(live, alice)
    send(client, talk, "One moment, please.")
    before = Answer.objects.count()
    assert client.post(f"/replies/{decision.judgement.pk}/dismiss/").status_code == 302
    assert Answer.objects.count() == before
    shown = client.get(f"/assistants/{live.assistant_id}/review/").content.decode()
    assert "One moment, please." not in shown


def test_an_answer_after_a_greeting_replaces_the_greeting(live, alice, client):
    talk, decision = hand_over(live, alice)
    hours = Answer.objects.get(key="store-hours")
    send(client, talk, "Hello, I am Alice.")
    send(client, talk, hours.text, "store-hours")
    judgement = Judgement.objects.get(decision=decision)
    assert (judgement.answer, judgement.text) == (hours, "")
    assert hours.phrasings.filter(origin="correction").count() == 1


@pytest.mark.parametrize(
    ("sent", "verdict"), [("store-hours", "wrong"), ("return-an-order", "right"), ("", None)]
)
def test_a_reply_after_an_answer_judges_that_answer(live, alice, client, sent, verdict):
    talk, decision = hand_over(live, alice, route="answer", key="return-an-order")
    answer = Answer.objects.filter(key=sent).first()
    send(client, talk, answer.text if answer else "Hello, I am Alice.", sent)
    judgement = Judgement.objects.filter(decision=decision).first()
    assert (judgement.verdict if judgement else None) == verdict
    taught = Phrasing.objects.filter(origin="correction", text=QUESTION)
    assert [one.answer.key for one in taught] == (["store-hours"] if verdict == "wrong" else [])


def test_a_question_of_the_audit_is_judged_and_never_taught(live, alice, client):
    talk, decision = hand_over(live, alice)
    Decision.objects.update(for_audit=True)
    hours = Answer.objects.get(key="store-hours")
    send(client, talk, hours.text, "store-hours")
    assert decision.judgement.is_audit
    assert not hours.phrasings.filter(origin="correction").exists()
    other, drawn = hand_over(live, alice, text="may my llama come along")
    Decision.objects.update(for_audit=True)
    send(client, other, "Llamas may not.")
    client.post(f"/replies/{drawn.judgement.pk}/draft/")
    answer = Answer.objects.get(text="Llamas may not.")
    assert not answer.phrasings.exists()


def test_what_a_rule_decided_is_not_judged(live, alice, client):
    talk, decision = hand_over(live, alice, route="hand_over", rule="lawyers")
    send(client, talk, "I call a lawyer.")
    assert not Judgement.objects.filter(decision=decision).exists()


@pytest.mark.slow
def test_the_reply_judges_the_question_that_was_shown(live, alice, client):
    talk, decision = hand_over(live, alice)
    state.append_message(talk, Message.Author.VISITOR, "and do you sell cheese")
    send(client, talk, "Goats wait outside.", question=1)
    assert decision.judgement.text == "Goats wait outside."
    send(client, talk, "Cheese is over there.", question=3)
    decision.judgement.refresh_from_db()
    assert "Cheese" not in decision.judgement.text


@pytest.mark.slow
def test_editing_and_searching_fill_the_form(live, alice, client):
    talk, _ = hand_over(live, alice)
    hours = Answer.objects.get(key="store-hours")
    for path in (f"/conversations/{talk.pk}/form/", f"/conversations/{talk.pk}/"):
        form = client.get(path, {"answer": "store-hours"}).content.decode()
        assert re.search(r"<textarea[^>]*>" + re.escape(hours.text[:20]), form)
        assert '<input type="hidden" name="answer" value="store-hours">' in form
    page = client.get(f"/conversations/{talk.pk}/answers/", {"q": "store-ho"}).content.decode()
    assert "form/?answer=store-hours" in page
    phrasing = hours.phrasings.first().text
    assert "store-hours" in client.get(
        f"/conversations/{talk.pk}/answers/", {"q": phrasing}
    ).content.decode()  # fmt: skip
    Answer.objects.filter(key="store-hours").update(
        state="draft", approved_at=None, approved_by=None
    )
    for path in (f"/conversations/{talk.pk}/answers/?q=store-ho",
                 f"/conversations/{talk.pk}/form/?answer=store-hours"):  # fmt: skip
        assert hours.text[:20] not in client.get(path).content.decode()


def test_a_reply_may_be_as_long_as_an_answer(live, alice, client):
    talk, _ = hand_over(live, alice)
    assert len(send(client, talk, "a" * 4000).text) == 4000
    refused = client.post(f"/conversations/{talk.pk}/reply/", {"text": "a" * 4001})
    assert refused.status_code == 400
    assert Conversation.objects.get(pk=talk.pk).messages.filter(author="person").count() == 1


@pytest.mark.slow
def test_programs_do_the_same(live, alice, api, token):
    decision = record(live.assistant, live, QUESTION, "refuse")
    Decision.objects.update(for_audit=False)
    talk = decision.message.conversation
    state.hand_over(talk, "two_refusals")
    ask, base = api(token), f"/api/v1/assistants/{live.assistant_id}"
    path = f"{base}/conversations/{talk.pk}"
    assert ask.post(f"{path}/replies", {"text": "Hello"}).status_code == 409
    assert ask.patch(path, {"to": "human"}, format="json").json()["state"] == "human"
    read = ask.get(path).json()
    assert (read["assignee"], read["question"]) == ("alice@acme.test", 1)
    assert read["messages"][0]["text"] == QUESTION
    assert len(read["suggestions"]) == 3
    said = ask.post(f"{path}/replies", {"text": "Goats wait outside.", "question": 1})
    assert (said.status_code, said.json()["person"]) == (201, "alice@acme.test")
    waiting = ask.get(f"{base}/written-replies").json()["data"]
    assert [(one["question"], one["text"]) for one in waiting] == [
        (QUESTION, "Goats wait outside.")
    ]
    review = f"{base}/written-replies/{waiting[0]['id']}"
    made = ask.post(review, {"action": "draft"}).json()["answer"]
    assert Answer.objects.get(key=made).state == "draft"
    assert ask.get(f"{base}/written-replies").json()["data"] == []
    closed = ask.patch(path, {"to": "closed", "resolved": True}, format="json").json()
    assert (closed["state"], closed["outcome"]) == ("closed", "resolved")


def test_a_judgement_of_a_program_may_say_what_was_right(live, api, token):
    decision = record(live.assistant, live, QUESTION, "refuse")
    sent = {"decision": str(decision.pk), "verdict": "should_have_answered",
            "text": "Goats wait outside, says ann@acme.test."}  # fmt: skip
    assert (
        api(token).post(f"/api/v1/assistants/{live.assistant_id}/judgements", sent).status_code
        == 201
    )
    assert decision.judgement.text == "Goats wait outside, says <e-mail>."
