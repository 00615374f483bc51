"""Every page of an assistant, as people use it."""

import pytest
from django.urls import reverse

from assistants.models import Answer, Assistant, Conversation, Decision, Rule, TestCase

pytestmark = pytest.mark.django_db

PAGES = (
    "", "versions/", "knowledge/", "tests/", "rules/", "channels/", "try/", "monitor/",
    "settings/", "monitor.csv", "measure/1/", "measure/1/promise/?promise=97",
    "measure/1/promise/?promise=x",
)  # fmt: skip


@pytest.mark.slow
def test_every_page_of_a_live_assistant_shows(live, alice, vera, client_of):
    base = f"/assistants/{live.assistant_id}/"
    for person in (alice, vera):
        client = client_of(person)
        assert client.get("/teams/acme-labs/assistants/").status_code == 200
        for page in PAGES:
            assert client.get(base + page).status_code == 200, page
    for page in ("/teams/acme-labs/inbox/", f"{base}review/"):
        assert client_of(alice).get(page).status_code == 200
        assert client_of(vera).get(page).status_code == 403  # What visitors wrote.


def test_a_person_makes_an_assistant_writes_approves_and_asks(project, alice, client_of, team):
    client = client_of(alice)
    made = client.post(
        f"/teams/{team.slug}/assistants/new/",
        {"name": "help", "project": str(project.pk), "promise": "90",
         "out_of_scope_share": "20", "languages": ["en"]},
    )  # fmt: skip
    assert made.status_code == 302, made.content
    base = made["Location"].replace("knowledge/", "")
    made_one = Assistant.objects.get(name="help")
    assert (made_one.promise, made_one.out_of_scope_share) == (0.9, 0.2)
    written = client.post(
        f"{base}answers/",
        {"key": "hours", "text": "We open at nine.", "questions": "when do you open\nopening time"},
    )
    answer = Answer.objects.get()
    assert written["Location"] == f"/answers/{answer.pk}/"
    assert answer.phrasings.count() == 2
    assert client.get(f"/answers/{answer.pk}/").status_code == 200
    client.post(f"/answers/{answer.pk}/approve/")
    answer.refresh_from_db()
    assert (answer.state, answer.approved_by) == ("approved", alice)
    again = client.post(f"/answers/{answer.pk}/approve/")
    assert again.status_code == 409
    assert client.post(f"{base}try/", {"text": "when do you open"}).status_code == 409


def test_a_rule_whose_example_fails_is_refused_with_a_sentence(assistant, alice, client_of):
    client = client_of(alice)
    address = f"/assistants/{assistant.pk}/rules/"
    fields = {"name": "lawyer", "says_any": "lawyer\nsue you", "do": "hand_over", "value": "",
              "examples_yes": "i will sue you", "examples_no": "where is my lawyer"}  # fmt: skip
    refused = client.post(address, fields)
    assert b"The rule applies to the example" in refused.content
    assert not Rule.objects.exists()
    assert client.post(address, {**fields, "examples_no": "hello"}).status_code == 302
    assert Rule.objects.get().when == {"says_any": ["lawyer", "sue you"]}


def test_a_broken_locked_question_keeps_a_version_from_going_live(measured, alice, client_of):
    client = client_of(alice)
    base = f"/assistants/{measured.assistant_id}/"
    client.post(
        f"{base}tests/",
        {"question": "where can i park my horse", "expects": "answer", "value": "store-hours",
         "locked": "on"},
    )  # fmt: skip
    assert TestCase.objects.get().locked
    refused = client.post(f"{base}publish/1/")
    assert refused.status_code == 409
    assert "where can i park my horse" in refused.content.decode()
    TestCase.objects.update(expects="refuse", value="")
    assert client.post(f"{base}publish/1/").status_code == 302
    measured.refresh_from_db()
    assert measured.status == "live"


def test_the_inbox_from_waiting_to_closed(live, alice, bob, client_of, api, token):
    api(token).post("/v1/assistants/shop-help/consult", {"text": "a human please", "visitor": "v"})
    talk = Conversation.objects.get()
    one, two = client_of(alice), client_of(bob)
    assert str(talk.pk) in one.get("/teams/acme-labs/inbox/").content.decode()
    taken = one.post("/teams/acme-labs/inbox/next/")
    assert taken["Location"] == f"/conversations/{talk.pk}/"
    assert two.post(f"/conversations/{talk.pk}/take/").status_code == 409
    assert two.post(f"/conversations/{talk.pk}/reply/", {"text": "hi"}).status_code == 409
    assert one.post(f"/conversations/{talk.pk}/reply/", {"text": "Here I am"}).status_code == 302
    shown = one.get(f"/conversations/{talk.pk}/messages/").content.decode()
    assert "Here I am" in shown
    assert "Why: " in shown
    assert one.post(f"/conversations/{talk.pk}/close/", {"resolved": "yes"}).status_code == 302
    talk.refresh_from_db()
    assert (talk.state, talk.outcome) == ("closed", "resolved")


def test_a_correction_becomes_a_phrasing_and_an_audit_does_not(live, alice, client_of, api, token):
    ask = api(token)
    address = "/v1/assistants/shop-help/consult"
    ids = [ask.post(address, {"text": text}).json()["id"] for text in
           ("do you have parking for horses", "may my goat come along")]  # fmt: skip
    native = f"/api/v1/assistants/{live.assistant_id}/judgements"
    body = {"verdict": "should_have_answered", "answer": "store-hours"}
    made = ask.post(native, {"decision": ids[0], **body})
    assert made.status_code == 201, made.content
    hours = Answer.objects.get(key="store-hours")
    assert hours.phrasings.filter(origin="correction").count() == 1
    assert ask.post(native, {"decision": ids[0], **body}).status_code == 409
    Decision.objects.update(for_audit=False)
    refused = ask.post(native, {"decision": ids[1], **body, "is_audit": True})
    assert refused.status_code == 400
    Decision.objects.update(for_audit=True)
    audited = ask.post(native, {"decision": ids[1], **body, "is_audit": True})
    assert audited.status_code == 201
    assert hours.phrasings.filter(origin="correction").count() == 1


def test_the_only_project_is_chosen(client_of, alice, project):
    address = f"/teams/{project.team.slug}/assistants/new/"
    page = client_of(alice).get(address).content.decode()
    assert f'<option value="{project.pk}" selected>' in page
    type(project).objects.create(team=project.team, name="Another")
    asked = client_of(alice).get(address).content.decode()
    assert f'<option value="{project.pk}" selected>' not in asked


@pytest.mark.slow
def test_operators_read_nothing_that_visitors_wrote(live, api, token, alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    operator = client_of(alice)
    action = {"do": "ask_for", "shape": "order_number", "text": "?", "then": {"do": "refuse"}}
    live.rules = [{"name": "which", "when": {"says_any": ["zebra"]}, "then": action}]
    live.save(update_fields=["rules"])
    ask = "/v1/assistants/shop-help/consult"
    first = api(token).post(ask, {"text": "zebra in my parcel"}).json()
    talk = Conversation.objects.get(pk=first["conversation"])
    shown = operator.get(f"/admin/assistants/conversation/{talk.pk}/change/")
    assert shown.status_code == 200
    assert "zebra" not in shown.content.decode()
    api(token).post(ask, {"text": "AB-120045", "conversation": first["conversation"]})
    decision = Decision.objects.latest("at")
    assert decision.burst == "zebra in my parcel"
    for path in (f"conversation/{talk.pk}", f"decision/{decision.pk}"):
        page = operator.get(f"/admin/assistants/{path}/change/").content.decode()
        assert "zebra" not in page
        assert "120045" not in page


@pytest.mark.parametrize("pk", [2**63, 10**30])
def test_numbers_that_no_row_can_have_are_not_found(pk, client_of, alice):
    client = client_of(alice)
    for name, more in (
        ("rule", ()), ("answer", ()), ("rule-act", ("up",)), ("retire-source", ()),
        ("delete-test", ()), ("review-reply", ("dismiss",)),
    ):  # fmt: skip
        assert client.post(reverse(f"assistants:{name}", args=[pk, *more])).status_code == 404


@pytest.mark.parametrize(
    ("typed", "kept"), [("80", 0.8), ("95", 0.95), ("97.5", 0.975), ("99", 0.99)]
)
def test_a_share_is_typed_and_shown_as_so_many_of_100(assistant, alice, client_of, typed, kept):
    client, path = client_of(alice), f"/assistants/{assistant.pk}/settings/"
    sent = {"promise": typed, "out_of_scope_share": "0.5", "retention_days": "30", "voice": "off"}
    refused = client.post(path, sent)
    assert 'value="0.5"' in refused.content.decode()  # As it was typed.
    client.post(path, sent | {"out_of_scope_share": "12.5"})
    assistant.refresh_from_db()
    assert (assistant.promise, assistant.out_of_scope_share) == (kept, 0.125)
    page = client.get(path).content.decode()
    assert f'value="{typed}"' in page
    assert 'value="12.5"' in page


@pytest.mark.parametrize("typed", ["0.95", "79.9", "99.1", "nan", "-90"])
def test_a_promise_outside_its_range_is_refused(assistant, alice, client_of, typed):
    sent = {"promise": typed, "out_of_scope_share": "20", "retention_days": "30", "voice": "off"}
    page = client_of(alice).post(f"/assistants/{assistant.pk}/settings/", sent)
    assert "aria-invalid" in page.content.decode()
    assistant.refresh_from_db()
    assert assistant.promise == 0.9


def test_a_program_finds_an_assistant_and_an_endpoint_by_name(things, api, token):
    for path, name in (("assistants", "shop-help"), ("deployments", "intents")):
        body = api(token).get(f"/api/v1/{path}?name={name}").json()["data"]
        assert [one["name"] for one in body] == [name]
        assert api(token).get(f"/api/v1/{path}?name=nobody").json()["data"] == []
