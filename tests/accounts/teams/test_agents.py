"""Every URL, walked by an agent, who answers visitors and sees nothing else of the team."""

import pytest
from allauth.account.models import EmailAddress

from accounts.models import ApiToken, Membership, Notice, NoticeEmail, Role, User
from accounts.notifications import preferences
from accounts.notifications.fan_out import fan_out_pending
from accounts.notifications.publish import publish
from accounts.permissions import has_permission
from assistants.conversations import state
from assistants.knowledge.answers import write_answer
from assistants.models import Assistant, Conversation, Message, Version
from tests.conftest import issue
from tests.web.test_outsiders import PUBLIC, bare, concrete, routes

OWN = {  # The inbox, the own account, notifications, help, and what needs no team.
    "assistants:inbox", "assistants:inbox-lists", "assistants:inbox-live",
    "assistants:conversation", "assistants:messages", "assistants:talk-live",
    "assistants:reply-form", "assistants:find-answers", "assistants:presence",
    "accounts:settings", "accounts:export-data",
    "accounts:notices", "accounts:notice-rows", "accounts:bell", "accounts:latest-notices",
    "accounts:notices-live",
    "accounts:notice-settings",
}  # fmt: skip
NOT_THEIRS = ("accounts/", "api/", "v1/", "consult", "stripe/", "join/")  # Of other callers.


@pytest.fixture
def ada(team) -> User:
    """An agent of the team."""
    person = User.objects.create_user("ada@acme.test", "correct horse battery", first_name="Ada")
    EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=True)
    Membership.objects.create(team=team, user=person, role=Role.AGENT)
    return person


@pytest.fixture
def everything(things, alice):
    """With an answer and a version, and a conversation that waits."""
    assistant = Assistant.objects.get(pk=things["assistant"])
    answer = write_answer(assistant, "hours", "We open at nine.", "en", alice)
    Version.objects.create(
        assistant=assistant, number=1, encoder="e", promise=0.9, out_of_scope_share=0.1
    )
    talk = Conversation.objects.get(pk=things["conversation"])
    state.append_message(talk, Message.Author.VISITOR, "is there a person")
    state.hand_over(talk, "rule")
    return {**things, "pk": str(answer.pk), "number": "1", "member": "0", "token": "0"}


def _walk(client, method: str, values: dict[str, str], kept: tuple[str, ...] = ()):
    """{name of the URL: status}, of all pages that are not public."""
    seen = {}
    for route, name in routes():
        if route.startswith(NOT_THEIRS) or name in kept or bare(name) in PUBLIC:
            continue
        action = "no-such-action" if name == "assistants:act" else values.get("action", "approve")
        path = concrete(route, {**values, "action": action})
        seen[name or path] = getattr(client, method)(path).status_code
    return seen


def test_an_agent_opens_the_inbox_the_account_notices_and_help_alone(
    everything, ada, alice, client_of
):
    seen = _walk(client_of(ada), "get", everything)
    opened = {name for name, status in seen.items() if status == 200}
    assert opened == OWN
    owners = _walk(client_of(alice), "get", everything)
    refused = {name for name, status in owners.items() if status == 200} - opened
    assert len(refused) > 45  # What the walk shows to an owner and keeps from an agent.
    assert all(seen[name] in (302, 403, 404) for name in refused)
    assert seen["projects:overview"] == 302


def test_an_agent_changes_nothing_but_the_inbox_and_what_is_their_own(everything, ada, client_of):
    mine = (
        "accounts:settings", "accounts:create-team", "accounts:delete-account",
        "accounts:sign-out-elsewhere", "accounts:read-notices", "accounts:notice-settings",
        "assistants:take-next",
    )  # fmt: skip
    seen = _walk(client_of(ada), "post", everything, kept=mine)
    changed = {name for name, status in seen.items() if status not in (302, 403, 404, 405)}
    assert changed == {"accounts:notices-live"}
    assert {name for name, status in seen.items() if status == 302} <= {"accounts:end-session"}


def test_home_and_the_team_lead_an_agent_to_the_inbox(everything, ada, client_of):
    client = client_of(ada)
    page = client.get("/home/", follow=True)
    assert page.redirect_chain[-1][0] == "/teams/acme-labs/inbox/"
    shown = page.content.decode()
    for hidden in ("/datasets/", "/models/", "/tokens/", "/usage/", "/search/", "/members/"):
        assert f"/teams/acme-labs{hidden}" not in shown
    assert "/teams/acme-labs/inbox/" in shown
    assert "/settings/" in shown


def test_an_agent_takes_replies_and_closes(everything, ada, client_of):
    client, talk = client_of(ada), everything["conversation"]
    assert client.post("/teams/acme-labs/inbox/next/")["Location"] == f"/conversations/{talk}/"
    assert client.post(f"/conversations/{talk}/reply/", {"text": "Here I am"}).status_code == 302
    assert client.post(f"/conversations/{talk}/close/", {"resolved": "yes"}).status_code == 302
    assert Conversation.objects.get(pk=talk).state == "closed"


def test_an_agent_makes_no_token_and_an_old_one_of_theirs_does_nothing(
    everything, ada, team, client_of, api
):
    client = client_of(ada)
    made = client.post(
        "/teams/acme-labs/tokens/create/", {"name": "x", "scopes": ["read", "write", "inference"]}
    )
    assert made.status_code == 403
    assert not ApiToken.objects.filter(created_by=ada).exists()
    old = issue(team, ada)  # Of a time when they were a member.
    seen = {}
    for route, _ in routes():
        if route.startswith(("api/v1/", "v1/assistants", "consult")):
            path = concrete(route, {**everything, "name": "shop-help"})
            seen[path] = api(old).get(path).status_code
            seen[f"post {path}"] = api(old).post(path, {"text": "hi"}, format="json").status_code
    allowed = {path for path, status in seen.items() if status not in (403, 404, 405)}
    assert len(seen) > 60
    assert allowed == {"/api/v1/me"}


def test_a_viewer_reads_the_monitor_without_conversations(everything, vera, client_of, api, team):
    client = client_of(vera)
    talk, assistant = everything["conversation"], everything["assistant"]
    monitor = client.get(f"/assistants/{assistant}/monitor/")
    assert monitor.status_code == 200
    assert talk not in monitor.content.decode()
    for path in (f"/conversations/{talk}/", f"/conversations/{talk}/messages/"):
        assert client.get(path).status_code == 404
    for path in ("/teams/acme-labs/inbox/", f"/assistants/{assistant}/review/"):
        assert client.get(path).status_code == 403
    token = issue(team, vera)
    assert api(token).get(f"/api/v1/assistants/{assistant}/figures").status_code == 200
    assert api(token).get(f"/api/v1/assistants/{assistant}/conversations").status_code == 403


@pytest.mark.parametrize("role", Role.values)
def test_who_may_use_the_inbox(role, alice, team):
    Membership.objects.filter(user=alice).update(role=role)
    allowed = role in (Role.OWNER, Role.ADMIN, Role.MEMBER, Role.AGENT)
    assert has_permission(alice, team, "inbox") is allowed


def test_an_agent_is_told_of_waiting_visitors_alone(team, ada, client_of):
    publish(team, "conversation.handed_over", "A visitor waits.", url="/teams/acme-labs/inbox/")
    publish(team, "training_job.failed", "A fine-tune failed.")
    client = client_of(ada)
    rows = client.get("/teams/acme-labs/notices/rows/").content.decode()
    assert "A visitor waits." in rows
    assert "A fine-tune failed." not in rows
    hidden = Notice.objects.get(event="training_job.failed")
    assert client.post(f"/notices/{hidden.pk}/open/").status_code == 404
    member = ada.memberships.get()
    assert list(preferences.preferences_of(member)) == ["inbox"]
    preferences.set_preferences(member, {"failures": "all"})  # They are mailed of the inbox anyway.
    fan_out_pending()
    mailed = NoticeEmail.objects.filter(user=ada).values_list("notice__event", flat=True)
    assert list(mailed) == ["conversation.handed_over"]


def test_an_agent_is_invited_and_leaves_from_the_account_page(team, alice, client_of, mailoutbox):
    page = client_of(alice).get("/teams/acme-labs/members/").content.decode()
    assert '<option value="agent"' in page
    sent = {"email": "grace@acme.test", "role": "agent"}
    shown = client_of(alice).post("/teams/acme-labs/members/invite/", sent).content.decode()
    link = "/join/" + shown.split("/join/")[1].split("<")[0]
    assert "You answer the visitors" in mailoutbox[0].body
    grace = User.objects.create_user("grace@acme.test", "correct horse battery")
    client = client_of(grace)
    joined = client.post(link, follow=True)
    assert joined.redirect_chain[-1][0] == "/teams/acme-labs/inbox/"
    own = grace.memberships.get()
    assert own.role == Role.AGENT
    assert f"/members/{own.pk}/remove/" in client.get("/settings/").content.decode()
    assert client.post(f"/members/{own.pk}/remove/").status_code == 302
    assert not grace.memberships.exists()
