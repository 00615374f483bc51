"""A rule that asks for something, keeps it, and goes on: through the API, the widget and e-mail."""

import json

import pytest

from assistants.answering.deciding import decide
from assistants.conversations.privacy import export_visitors, find_visitors
from assistants.conversations.situations import read_captured
from assistants.errors import InvalidRule
from assistants.lifecycle import add_channel, change_assistant
from assistants.models import Conversation, Decision, Message
from assistants.rules.matching import Awaited, Situation
from assistants.rules.specs import parse_rule
from assistants.versions.ruling import add_rule

pytestmark = pytest.mark.django_db
ASK = "/v1/assistants/shop-help/consult"
RETURN = "how do i return an order"
SAYS = {"do": "say", "text": "{name} looks for {captured}. People are here {hours}."}
ASKED = "Which order is it? Its number looks like AB-123456."


def asking(then=SAYS, shape="order_number", says=("where is my order", "订单在哪"), **more):
    action = {"do": "ask_for", "shape": shape, "text": ASKED, "then": then}
    return {"name": "which order", "when": {"says_any": list(says), **more}, "then": action}


def with_rules(version, *rules):
    version.rules = list(rules)
    version.save(update_fields=["rules"])
    return version


@pytest.fixture
def talk(api, token):
    """Says one thing after another in one conversation, and gives each reply."""
    known = {}

    def say(text, **more):
        sent = {"text": text, "visitor": "v", **known, **more}
        reply = api(token).post(ASK, sent, format="json").json()
        known["conversation"] = reply["conversation"]
        return reply

    return say


def test_it_asks_keeps_what_is_given_and_goes_on(live, talk, alice):
    with_rules(live, asking())
    reply = talk("where is my order")
    assert (reply["route"], reply["response"]) == ("rule", ASKED)
    reply = talk("it is ab-120045, thanks")
    assert reply["response"] == "shop-help looks for ab-120045. People are here at any time."
    conversation = Conversation.objects.get()
    assert Decision.objects.latest("at").question == "where is my order"  # Not the number.
    assert conversation.awaiting is None
    assert "120045" not in conversation.captured  # Encrypted.
    assert read_captured(conversation) == {"order_number": "ab-120045"}
    assert talk("where is my order")["response"] == reply["response"]  # Not asked for again.
    visitors = find_visitors(live.assistant, "v")
    (exported,) = export_visitors(live.assistant, visitors, alice)
    assert exported["captured"] == {"order_number": "ab-120045"}


def test_it_asks_nothing_where_the_question_has_it(live, talk):
    with_rules(live, asking())
    assert "looks for XY-000001" in talk("Where is my order XY-000001?")["response"]


def test_the_reply_is_in_the_language_of_the_question_not_of_the_number(live, alice, talk):
    change_assistant(live.assistant, alice, languages=["en", "zh"])
    with_rules(live, asking())
    assert talk("我的订单在哪")["language"] == "zh"
    reply = talk("AB-120045")
    assert (reply["language"], "全天" in reply["response"]) == ("zh", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "route", "said"),
    [
        ({"do": "hand_over", "group": "shipping"}, "hand_over", "A person will take over"),
        ({"do": "refuse"}, "refuse", "I do not have a reliable answer"),
        ({"do": "answer", "key": "return-an-order"}, "answer", ""),
        ({"do": "tag", "tag": "tracked"}, "answer", ""),
    ],
)
def test_it_goes_on_with_every_action(live, talk, then, route, said):
    """A tag goes on with the question that was asked before."""
    with_rules(live, asking(then, says=(RETURN,)))
    assert talk(RETURN)["response"] == ASKED
    done = talk("AB-120045")
    assert (done["route"], done["response"][: len(said)]) == (route, said)
    conversation = Conversation.objects.get()
    assert conversation.tags == (["tracked"] if then["do"] == "tag" else [])
    assert conversation.handed_over_group == then.get("group", "")
    if route == "answer":
        assert done["answer"] == "return-an-order"


def test_rules_behind_a_tag_decide_the_question_that_was_asked(live, talk):
    behind = {"name": "behind", "when": {"says_any": [RETURN]}, "then": {"do": "refuse"}}
    with_rules(live, asking({"do": "tag", "tag": "tracked"}, says=(RETURN,)), behind)
    talk(RETURN)
    assert talk("AB-120045")["route"] == "refuse"
    assert Decision.objects.latest("at").rule == "behind"


def test_it_asks_twice_and_then_a_person(live, talk):
    with_rules(live, asking())
    talk("where is my order")
    again = talk("zebras in the moonlight of mars")
    assert (again["route"], again["response"]) == ("rule", ASKED)
    given_up = talk("purple elephants on a bicycle")
    assert (given_up["route"], given_up["handed_over"]) == ("hand_over", True)
    assert Conversation.objects.get().handed_over_reason == "not_given"


def test_another_question_is_answered_meanwhile_and_what_is_given_later_counts(live, talk):
    with_rules(live, asking())
    talk("where is my order")
    assert talk(RETURN)["route"] == "answer"
    assert "looks for AB-120045" in talk("AB-120045")["response"]


def test_who_asks_for_a_person_gets_one_instead(live, talk):
    with_rules(live, asking())
    talk("where is my order")
    assert talk("talk to a person")["route"] == "hand_over"
    assert Conversation.objects.get().awaiting is None


def test_a_version_without_the_rule_asks_for_nothing_any_more(live, talk):
    with_rules(live, asking())
    talk("where is my order")
    other = with_rules(live, {**asking(), "name": "another"})
    waits = Awaited("which order", "where is my order", "en")
    assert decide(other, Situation(text=RETURN, awaited=waits)).answer_key == "return-an-order"


def test_personal_data_is_kept_encrypted_and_said_masked(live, talk):
    says = {"do": "say", "text": "We write to {captured}."}
    with_rules(live, asking(says, shape="e-mail"))
    talk("where is my order")
    reply = talk("Ada@Example.com is mine")
    assert reply["response"] == "We write to <e-mail>."
    assert read_captured(Conversation.objects.get()) == {"e-mail": "Ada@Example.com"}
    stored = "".join(Message.objects.values_list("text", flat=True))
    assert "ada@" not in stored.lower()
    assert "ada@" not in json.dumps(list(Decision.objects.values("burst", "candidates"))).lower()


def test_a_drawn_shape_that_masking_would_hide_is_read(live, talk):
    with_rules(live, asking(shape="1##########"))
    talk("where is my order")
    talk("13812345678")
    assert read_captured(Conversation.objects.get()) == {"1##########": "13812345678"}
    assert "13812345678" not in "".join(Message.objects.values_list("text", flat=True))


def test_the_widget_asks_and_a_person_sees_what_was_given(live, alice, client, client_of):
    with_rules(live, asking({"do": "hand_over", "group": "shipping"}))
    channel = add_channel(live.assistant, "web", alice, allowed_origins=["https://shop.test"])
    path, headers = f"/w/{channel.public_key}/messages", {}
    for text in ("where is my order", "AB-120045"):
        sent = client.post(path, {"text": text}, content_type="application/json", headers=headers)
        headers = {"X-Lathe-Visitor": sent.json()["visitor"]}
    talk = Conversation.objects.get()
    assert (talk.state, talk.handed_over_group) == ("waiting", "shipping")
    page = client_of(alice).get(f"/conversations/{talk.pk}/").content.decode()
    assert "AB-120045" in page
    assert "shipping" in page
    inbox = client_of(alice).get("/teams/acme-labs/inbox/?group=other").content.decode()
    assert str(talk.pk) not in inbox
    inbox = client_of(alice).get("/teams/acme-labs/inbox/?group=shipping").content.decode()
    assert str(talk.pk) in inbox
    taken = client_of(alice).post("/teams/acme-labs/inbox/next/", {"group": "other"})
    assert taken.url == "/teams/acme-labs/inbox/"
    taken = client_of(alice).post("/teams/acme-labs/inbox/next/", {"group": "shipping"})
    assert taken.url == f"/conversations/{talk.pk}/"


def test_the_page_to_try_remembers_what_was_asked_for_and_stores_nothing(live, alice, client_of):
    with_rules(live, asking())
    client, path = client_of(alice), f"/assistants/{live.assistant_id}/try/"
    answer = client.post(path, {"text": "where is my order"})
    assert ASKED in answer.content.decode()
    answer = client.post(path, {"text": "AB-120045", "so_far": answer.context["so_far"]})
    assert "looks for AB-120045" in answer.content.decode()
    forged = client.post(path, {"text": "AB-120045", "so_far": "x" + answer.context["so_far"]})
    assert "looks for AB-120045" not in forged.content.decode()
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    ("when", "then", "problem"),
    [
        ({"says_any": ["x"]}, {"do": "say", "text": "{captured}"}, "filled only where"),
        ({"says_any": ["x"]}, {"do": "say", "text": "Hello {visitor}"}, "filled by nothing"),
        ({"says_any": ["x"]}, {"do": "say", "text": "{}"}, "filled by nothing"),
        ({"says_any": ["x"]}, {"do": "ask_for", "shape": "phone", "text": "{captured}?",
                               "then": {"do": "refuse"}}, "filled only where"),
        ({"says_any": ["x"]}, {"do": "ask_for", "shape": "phone", "text": "?",
                               "then": {"do": "ask_for", "shape": "phone", "text": "?",
                                        "then": {"do": "refuse"}}}, "then"),
        ({"says_any": ["x"]}, {"do": "ask_for", "shape": "phone", "text": "?"}, "then"),
    ],
)  # fmt: skip
def test_a_text_that_nothing_fills_is_refused(when, then, problem):
    with pytest.raises(InvalidRule, match=problem):
        parse_rule("r", when, then)


def test_an_action_gives_answers_that_exist(live, alice):
    rule = asking({"do": "answer", "key": "nothing"})
    with pytest.raises(InvalidRule, match="no answer with the key 'nothing'"):
        add_rule(live.assistant, alice, **rule, examples_yes=["where is my order"],
                 examples_no=[RETURN])  # fmt: skip


def test_a_chat_goes_on_in_the_conversation_that_it_names(live, api, token):
    with_rules(live, asking())

    def chat(text, **more):
        sent = {"model": "assistant:shop-help", "messages": [{"role": "user", "content": text}]}
        address = "/v1/assistants/shop-help/chat"
        answered = api(token).post(address, {**sent, **more}, format="json").json()
        return answered["choices"][0]["message"]["content"], answered["assistant"]["conversation"]

    asked, conversation = chat("where is my order")
    assert asked == ASKED
    assert "looks for AB-120045" in chat("AB-120045", conversation=conversation)[0]
    assert "looks for" not in chat("AB-120045")[0]
