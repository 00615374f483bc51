"""The page of rules: every condition and action, changes, order, and a question to try."""

import pytest

from assistants.models import Rule
from assistants.rules.wording import action_in_words, conditions_in_words
from assistants.versions import building

pytestmark = pytest.mark.django_db
RETURN, TRACK = "how do i return an order", "how do i track my parcel"


@pytest.fixture
def page(client_of, alice, live):
    return client_of(alice), f"/assistants/{live.assistant_id}/rules/"


def fields(**more):
    return {"name": "r", "says_any": "order", "do": "refuse", "examples_yes": RETURN,
            "examples_no": TRACK, **more}  # fmt: skip


CONDITIONS = {
    "says_all": "return\norder",
    "looks_like": "e-mail",
    "language": "en",
    "channel": "web",
    "hours": "closed",
    "turns_at_least": "3",
    "confidence_above": "0.3",
}
SAVED = {**CONDITIONS, "says_all": ["return", "order"], "turns_at_least": 3,
         "confidence_above": 0.3}  # fmt: skip


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_the_form_knows_every_condition(page, name):
    client, path = page
    example = f"{RETURN} a@b.de" if name == "looks_like" else RETURN
    sent = fields(**{name: CONDITIONS[name]}, examples_yes=example)
    assert client.post(path, sent).status_code == 302
    assert Rule.objects.get().when == {"says_any": ["order"], name: SAVED[name]}
    shown = client.get(f"/rules/{Rule.objects.get().pk}/").context["form"]
    resent = {field.name: field.value() for field in shown if field.value() not in (None, False)}
    assert client.post(f"/rules/{Rule.objects.get().pk}/", resent).status_code == 302
    assert Rule.objects.get().when == {"says_any": ["order"], name: SAVED[name]}


ACTIONS = [
    ({"do": "hand_over", "value": "sales"}, {"do": "hand_over", "group": "sales"}),
    ({"do": "hand_over"}, {"do": "hand_over"}),
    ({"do": "tag", "value": "vip"}, {"do": "tag", "tag": "vip"}),
    ({"do": "answer", "value": "return-an-order"}, {"do": "answer", "key": "return-an-order"}),
    ({"do": "ask_for", "value": "Which?", "shape": "drawn", "shape_drawn": "AB-##",
      "then_do": "say", "then_value": "{captured}!"},
     {"do": "ask_for", "shape": "AB-##", "text": "Which?",
      "then": {"do": "say", "text": "{captured}!"}}),
    ({"do": "ask_for", "value": "Which?", "shape": "phone", "then_do": "hand_over"},
     {"do": "ask_for", "shape": "phone", "text": "Which?", "then": {"do": "hand_over"}}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "then"), ACTIONS)
def test_the_form_knows_every_action(page, sent, then):
    client, path = page
    assert client.post(path, fields(**sent)).status_code == 302
    assert Rule.objects.get().then == then
    pk = Rule.objects.get().pk
    shown = client.get(f"/rules/{pk}/").context["form"]
    resent = {field.name: field.value() for field in shown if field.value() not in (None, False)}
    assert client.post(f"/rules/{pk}/", {**resent, "name": "changed"}).status_code == 302
    assert Rule.objects.values_list("name", "then").get() == ("changed", then)
    assert action_in_words(then)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [({"do": "answer", "value": ""}, "There is no answer"),
     ({"do": "ask_for", "value": "?", "then_do": "refuse"}, "shape"),
     ({"do": "ask_for", "value": "?", "shape": "drawn", "shape_drawn": "(", "then_do": "refuse"},
      "shape"),
     ({"do": "say", "value": ""}, "must not be empty"),
     ({"do": "say", "value": "{x}"}, "filled by nothing")],
)  # fmt: skip
def test_a_wrong_action_is_told_at_its_field(page, sent, problem):
    client, path = page
    form = client.post(path, fields(**sent)).context["form"]
    assert problem in form.errors["value"][0]
    assert "then." not in form.errors["value"][0]
    assert not Rule.objects.exists()


def test_rules_are_ordered_turned_off_and_deleted(page, live, alice):
    client, path = page
    for name in ("one", "two", "three"):
        client.post(path, fields(name=name))

    def names():
        return list(live.assistant.rules.values_list("name", flat=True))

    pks = dict(live.assistant.rules.values_list("name", "pk"))
    client.post(f"/rules/{pks['three']}/up/")
    assert names() == ["one", "three", "two"]
    client.post(f"/rules/{pks['one']}/up/")  # It is the first.
    client.post(f"/rules/{pks['one']}/down/")
    assert names() == ["three", "one", "two"]
    client.post(f"/rules/{pks['two']}/off/")
    client.post(f"/rules/{pks['one']}/delete/")
    assert names() == ["three", "two"]
    version = building.create_version(live.assistant, alice)
    assert [rule["name"] for rule in version.rules] == ["three"]
    assert client.post(f"/rules/{pks['two']}/explode/").status_code == 404


def test_a_changed_rule_must_still_hold(page, api, token, live):
    client, path = page
    client.post(path, fields())
    pk = Rule.objects.get().pk
    refused = client.post(f"/rules/{pk}/", fields(says_any="parcel"))
    assert "does not apply to the example" in refused.content.decode()
    native = f"/api/v1/assistants/{live.assistant_id}/rules/{pk}"
    wrong = api(token).patch(native, {"when": {"says_any": ["parcel"]}}, format="json")
    assert wrong.status_code == 400
    assert Rule.objects.get().when == {"says_any": ["order"]}
    right = api(token).patch(native, {"enabled": False, "position": 7}, format="json")
    assert (right.status_code, right.json()["position"]) == (200, 7)
    assert api(token).delete(native).status_code == 204
    assert not Rule.objects.exists()


def test_a_question_is_tried_with_the_rules_as_they_stand(page):
    client, path = page
    client.post(path, fields(name="orders"))
    for text, expected in ((RETURN, "orders"), ("talk to a person", "asks for a person")):
        said = client.post(f"{path}try/", {"text": text}).content.decode()
        assert f"The rule “{expected}” decides it." in said
    assert "No rule decides it" in client.post(f"{path}try/", {"text": TRACK}).content.decode()


def test_a_rule_is_told_in_words():
    when = {"says_any": ["a", "b"], "hours": "open", "visitor": {"plan": "gold"}}
    assert conditions_in_words(when) == [
        "says one of “a”, “b”",
        "comes within the opening hours",
        "is of a visitor with plan = gold",
    ]
