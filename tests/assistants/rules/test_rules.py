"""Rules about what a question is most likely about, rules that tag, and rules that hide others."""

import pytest

from assistants.answering import reading
from assistants.answering.deciding import decide
from assistants.answering.matching import find_by_terms
from assistants.conversations.situations import read_attributes
from assistants.errors import EncoderUnavailable, InvalidRule, RefusedByGate
from assistants.lifecycle import add_channel
from assistants.models import Conversation, Decision, Rule, Version
from assistants.rules.examples import check_examples
from assistants.rules.matching import Situation
from assistants.rules.specs import parse_rule
from assistants.versions import gate
from assistants.versions.ruling import add_rule, find_swallowed

pytestmark = pytest.mark.django_db
RETURN, TRACK = "how do i return an order", "how do i track my parcel"
ASK = "/v1/assistants/shop-help/consult"


def rule(name, when, then, yes, no, **more):
    return {"name": name, "when": when, "then": then, "examples_yes": [yes], "examples_no": [no],
            **more}  # fmt: skip


def with_rules(version: Version, *rules) -> Version:
    """The version as if it had been built with these."""
    version.rules = [{key: one[key] for key in ("name", "when", "then")} for one in rules]
    version.save(update_fields=["rules"])
    return version


TOPIC = rule("returns", {"topic_is": ["return-an-order"]}, {"do": "hand_over"}, RETURN, TRACK)
TAG = rule("orders", {"says_any": ["order"]}, {"do": "tag", "tag": "order"}, RETURN, TRACK)


def test_a_rule_applies_by_the_likeliest_topic(live):
    version = with_rules(live, TOPIC)
    outcome = decide(version, Situation(text=RETURN))
    assert (outcome.route, outcome.rule) == ("hand_over", "returns")
    other = decide(version, Situation(text=TRACK))
    assert (other.route, other.rule) == ("answer", "")


@pytest.mark.parametrize(
    ("when", "sure", "unsure"),
    [({"confidence_below": 0.4}, "answer", "hand_over"),
     ({"confidence_above": 0.4}, "hand_over", "refuse")],
)  # fmt: skip
def test_a_rule_applies_by_how_sure_the_assistant_is(live, when, sure, unsure):
    version = with_rules(live, rule("r", when, {"do": "hand_over"}, "x", "y"))
    assert decide(version, Situation(text=RETURN)).route == sure
    assert decide(version, Situation(text="zebras in the moonlight of mars")).route == unsure


def test_a_question_is_read_once_and_only_where_it_must_be(live, monkeypatch):
    read = []
    embed = reading.embed
    monkeypatch.setattr(reading, "embed", lambda *sent: read.append(sent) or embed(*sent))
    said = {"says_any": ["lawyer"], "topic_is": ["return-an-order"]}
    first = rule("lawyer", {"says_any": ["lawyer"]}, {"do": "refuse"}, "lawyer", "x")
    version = with_rules(live, first, rule("both", said, {"do": "refuse"}, "x", "y"), TOPIC)
    assert decide(version, Situation(text="my lawyer says")).rule == "lawyer"
    assert read == []
    assert decide(version, Situation(text=TRACK)).route == "answer"
    assert len(read) == 1


def test_without_an_encoder_only_rules_that_read_nothing_apply(live, monkeypatch):
    def fail(*_):
        raise EncoderUnavailable

    monkeypatch.setattr(reading, "embed", fail)
    last = rule("last", {"says_any": ["order"]}, {"do": "say", "text": "Later."}, "x", "y")
    version = with_rules(live, TOPIC, last)
    assert decide(version, Situation(text=RETURN)).rule == "last"
    reply = decide(version, Situation(text=TRACK))
    assert (reply.route, reply.rule) == ("ask", "")
    assert find_by_terms(version, "en", TRACK)[0] == "track-a-parcel"  # By its words.
    assert len(reply.suggestions) == 3
    again = decide(version, Situation(text=TRACK), asked_back=True)
    unknown = decide(version, Situation(text="zzyzx qwfp"))
    for handed in (again, unknown):
        assert (handed.route, handed.reason) == ("hand_over", "encoder_down")


def test_a_tag_marks_the_conversation_and_decides_nothing(live, api, token, alice, client_of):
    with_rules(live, TAG)
    first = api(token).post(ASK, {"text": RETURN, "visitor": "a"}).json()
    api(token).post(ASK, {"text": TRACK, "visitor": "b"})
    assert first["route"] == "answer"
    assert Decision.objects.get(pk=first["id"]).rule == ""
    marked = Conversation.objects.get(pk=first["conversation"])
    assert marked.tags == ["order"]
    api(token).post(ASK, {"text": TRACK, "conversation": first["conversation"]})
    marked.refresh_from_db()
    assert marked.tags == ["order"]  # It stays.
    client = client_of(alice)
    other = Conversation.objects.exclude(pk=marked.pk).get()
    everything = client.get("/teams/acme-labs/inbox/").content.decode()
    assert str(other.pk) in everything
    assert '<option value="order">' in everything
    for path in ("/teams/acme-labs/inbox/?tag=order", "/teams/acme-labs/inbox/lists/?tag=order"):
        shown = client.get(path).content.decode()
        assert str(marked.pk) in shown
        assert str(other.pk) not in shown
    assert (
        "inbox/lists/?tag=order" in client.get("/teams/acme-labs/inbox/?tag=order").content.decode()
    )
    assert ">order</span>" in client.get(f"/conversations/{marked.pk}/").content.decode()
    rows = api(token).get(f"/api/v1/assistants/{live.assistant_id}/conversations?tag=order").json()
    assert [(row["id"], row["tags"]) for row in rows["data"]] == [(str(marked.pk), ["order"])]
    tried = client.post(f"/assistants/{live.assistant_id}/try/", {"text": RETURN})
    assert "Tags of the conversation: order." in tried.content.decode()


def test_topic_rules_are_saved_with_examples_that_the_newest_version_reads(live, alice, client_of):
    client, path = client_of(alice), f"/assistants/{live.assistant_id}/rules/"
    fields = {"name": "returns", "topic_is": ["return-an-order"], "confidence_above": "0.3",
              "do": "hand_over", "examples_yes": TRACK, "examples_no": RETURN}  # fmt: skip
    refused = client.post(path, fields).content.decode()
    assert "The rule does not apply to the example" in refused
    assert not Rule.objects.exists()
    right = {**fields, "examples_yes": RETURN, "examples_no": TRACK}
    assert client.post(path, right).status_code == 302
    saved = Rule.objects.get()
    assert saved.when == {"topic_is": ["return-an-order"], "confidence_above": 0.3}
    empty = {**right, "name": "x", "topic_is": [], "confidence_above": ""}
    assert "Give at least one condition" in client.post(path, empty).content.decode()


def test_a_topic_rule_needs_a_version_and_an_answer(taught, alice):
    with pytest.raises(InvalidRule, match="Build a version first"):
        add_rule(taught, alice, **TOPIC)
    with pytest.raises(InvalidRule, match="no answer with the key 'nothing'"):
        add_rule(taught, alice, **{**TOPIC, "when": {"topic_is": ["nothing"]}})


@pytest.mark.slow
def test_a_version_that_reads_an_example_otherwise_does_not_go_live(measured, alice):
    Rule.objects.create(
        assistant=measured.assistant, position=0, **{**TOPIC, "examples_yes": [TRACK]}
    )
    with pytest.raises(RefusedByGate, match="does not apply to the example"):
        gate.publish(measured, alice)
    Rule.objects.update(examples_yes=[RETURN])
    assert gate.publish(measured, alice).passed


def test_an_earlier_rule_that_decides_an_example_is_told(live, alice, client_of, api, token):
    broad = rule("broad", {"says_any": ["order"]}, {"do": "refuse"}, RETURN, TRACK)
    narrow = rule("narrow", {"says_any": ["return an order"]}, {"do": "hand_over"}, RETURN, TRACK)
    native = f"/api/v1/assistants/{live.assistant_id}/rules"
    assert api(token).post(native, broad, format="json").json()["warnings"] == []
    add_rule(live.assistant, alice, **TAG)
    answer = api(token).post(native, narrow, format="json").json()["warnings"]
    sentence = f"“broad” comes first and decides “{RETURN}”, an example of “narrow”."
    assert answer == [
        f"“broad” comes first and decides “{RETURN}”, an example of “orders”.",
        sentence,
    ]
    page = client_of(alice).get(f"/assistants/{live.assistant_id}/rules/").content.decode()
    assert sentence in page
    Rule.objects.filter(name="broad").update(position=9)
    assert [one.by for one in find_swallowed(live.assistant)] == ["narrow"]  # Now it is broad's.


def test_a_tag_that_comes_first_hides_nothing(live, alice):
    add_rule(live.assistant, alice, **TAG)
    add_rule(live.assistant, alice, **TOPIC)
    assert find_swallowed(live.assistant) == []


def test_the_built_in_rule_is_told_as_well(live, alice):
    words = "talk to a human about an order"
    add_rule(live.assistant, alice, **{**TAG, "then": {"do": "refuse"}, "examples_yes": [words]})
    assert [(one.by, one.rule) for one in find_swallowed(live.assistant)] == [
        ("asks for a person", "orders")
    ]


@pytest.mark.parametrize(
    ("when", "then"),
    [({"confidence_below": 0}, {"do": "refuse"}), ({"confidence_above": 1}, {"do": "refuse"}),
     ({"topic_is": []}, {"do": "refuse"}), ({"says_any": ["x"]}, {"do": "tag", "tag": ""}),
     ({"says_any": ["x"]}, {"do": "tag", "tag": "x" * 41})],
)  # fmt: skip
def test_what_is_no_rule_is_refused(when, then):
    with pytest.raises(InvalidRule):
        parse_rule("r", when, then)


def test_examples_of_words_need_no_version():
    spec = parse_rule(TAG["name"], TAG["when"], TAG["then"])
    check_examples(spec, [RETURN], [TRACK], None)


def test_a_rule_asks_what_a_program_says_of_the_visitor(live, api, token):
    gold = rule(
        "gold", {"visitor": {"plan": "Gold", "trial": "false"}}, {"do": "hand_over"}, "x", "y"
    )
    with_rules(live, gold)

    def route(**metadata):
        sent = {"text": RETURN, "metadata": metadata}
        return api(token).post(ASK, sent, format="json").json()["route"]

    assert route(plan="gold", trial=False) == "hand_over"
    assert route(plan="gold", trial=True) == "answer"
    assert route(plan=["gold"], trial=False) == "answer"
    assert route() == "answer"


def test_a_rule_asks_what_a_site_says_of_the_visitor(live, alice, client):
    with_rules(live, rule("gold", {"visitor": {"plan": "gold"}}, {"do": "refuse"}, "x", "y"))
    channel = add_channel(live.assistant, "web", alice, allowed_origins=["https://shop.test"])
    path = f"/w/{channel.public_key}/messages"
    for plan, expected in (("silver", ""), ("gold", "gold")):
        client.post(path, {"text": RETURN, "metadata": {"plan": plan}},
                    content_type="application/json")  # fmt: skip
        assert Decision.objects.latest("at").rule == expected


@pytest.mark.parametrize("again", [RETURN.upper() + "?", "i want to return my order, how"])
def test_a_rule_applies_where_a_question_is_asked_again(live, api, token, again):
    with_rules(live, rule("again", {"asked_again": True}, {"do": "hand_over"}, "x", "y"))
    first = api(token).post(ASK, {"text": RETURN}).json()
    talk = {"conversation": first["conversation"]}
    assert first["route"] == "answer"
    assert api(token).post(ASK, {"text": TRACK, **talk}).json()["route"] == "answer"
    assert api(token).post(ASK, {"text": again, **talk}).json()["route"] == "hand_over"
    assert api(token).post(ASK, {"text": RETURN}).json()["route"] == "answer"  # Another one.


def test_a_rule_that_looks_at_no_words_needs_no_question_it_does_not_apply_to(
    live, alice, client_of
):
    client, path = client_of(alice), f"/assistants/{live.assistant_id}/rules/"
    fields = {"name": "again", "asked_again": "on", "visitor": "plan = gold\ntrial=false",
              "do": "hand_over", "examples_yes": "why"}  # fmt: skip
    assert client.post(path, fields).status_code == 302
    assert Rule.objects.get().when == {
        "asked_again": True, "visitor": {"plan": "gold", "trial": "false"},
    }  # fmt: skip
    words = {"name": "words", "says_any": "order", "do": "refuse", "examples_yes": RETURN}
    assert b"one that it does not" in client.post(path, words).content
    wrong = {**fields, "name": "x", "visitor": "Plan Name=gold"}
    assert client.post(path, wrong).status_code == 200
    assert Rule.objects.count() == 1


def test_what_is_said_of_a_visitor_is_bounded():
    sent = {"plan": "gold", "n": 3, "ok": True, "A B": "x", "long": "y" * 201, "list": [1], "": "z"}
    assert read_attributes(sent) == {"plan": "gold", "n": "3", "ok": "true"}
    assert read_attributes('{"plan": "gold"}') == {"plan": "gold"}
    assert read_attributes("[" * 100_000) == read_attributes(None) == read_attributes("x") == {}
    assert len(read_attributes({f"k{n}": "v" for n in range(50)})) == 20
