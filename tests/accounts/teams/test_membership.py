"""Joining, leaving and changing roles."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils.timezone import now

from accounts.errors import LastOwner
from accounts.models import ApiToken, AuditEntry, Invitation, Membership, Role, User
from accounts.teams import membership


def invite(client, team, email="grace@acme.test", role="member"):
    form = {"email": email, "role": role}
    return client.post(reverse("accounts:invite", args=[team.slug]), form)


def grace() -> User:
    return User.objects.create_user("grace@acme.test", "correct horse battery")


def test_an_invited_person_joins_by_link_once(client_of, alice, team):
    link = invite(client_of(alice), team).context["link"]
    person = grace()
    assert team.name in client_of(person).get(link).content.decode()
    assert client_of(person).post(link).status_code == 302
    assert Membership.objects.get(user=person, team=team).role == Role.MEMBER
    assert client_of(person).get(link).status_code == 410


def test_somebody_else_with_the_link_does_not_get_in(client_of, alice, mallory, team):
    link = invite(client_of(alice), team).context["link"]
    assert client_of(mallory).post(link).status_code == 403
    assert not Membership.objects.filter(user=mallory, team=team).exists()


def test_a_withdrawn_or_expired_link_is_useless(client_of, alice, team):
    link = invite(client_of(alice), team).context["link"]
    invitation = Invitation.objects.get()
    client_of(alice).post(reverse("accounts:withdraw", args=[invitation.pk]))
    assert client_of(grace()).post(link).status_code == 410
    Invitation.objects.update(expires_at=now() - timedelta(seconds=1))
    assert not Invitation.objects.open().exists()


def test_the_link_is_shown_once_and_only_its_digest_is_stored(client_of, alice, team):
    link = invite(client_of(alice), team).context["link"]
    secret = link.rstrip("/").rpartition("/")[2]
    page = client_of(alice).get(reverse("accounts:members", args=[team.slug])).content.decode()
    assert secret not in page
    assert secret not in str(list(Invitation.objects.values()))


def test_only_owners_invite_owners(client_of, alice, bob, team):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    assert invite(client_of(bob), team, role="owner").status_code == 403
    assert invite(client_of(bob), team, role="member").status_code == 200
    assert invite(client_of(alice), team, "other@acme.test", "owner").status_code == 200


def test_members_and_viewers_cannot_invite(client_of, bob, vera, team):
    assert invite(client_of(bob), team).status_code == 403
    assert invite(client_of(vera), team).status_code == 403


def test_a_stranger_finds_no_member_page_and_changes_no_role(client_of, mallory, alice, team):
    member = Membership.objects.get(user=alice, team=team)
    client = client_of(mallory)
    assert client.get(reverse("accounts:members", args=[team.slug])).status_code == 404
    for name in ["accounts:role", "accounts:remove"]:
        assert client.post(reverse(name, args=[member.pk]), {"role": "viewer"}).status_code == 404


def test_the_last_owner_can_neither_leave_nor_step_down(client_of, alice, team):
    member = Membership.objects.get(user=alice)
    client = client_of(alice)
    assert client.post(reverse("accounts:remove", args=[member.pk])).status_code == 409
    answer = client.post(reverse("accounts:role", args=[member.pk]), {"role": "viewer"})
    assert answer.status_code == 409
    member.refresh_from_db()
    assert member.role == Role.OWNER


def test_an_admin_cannot_unmake_an_owner(client_of, alice, bob, team):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    owner = Membership.objects.get(user=alice)
    client = client_of(bob)
    assert client.post(reverse("accounts:remove", args=[owner.pk])).status_code == 403
    answer = client.post(reverse("accounts:role", args=[owner.pk]), {"role": "member"})
    assert answer.status_code == 403


def test_removing_a_member_revokes_their_tokens_for_the_team(client_of, alice, bob, team):
    token, _ = ApiToken.issue(team=team, created_by=bob, name="bobs")
    member = Membership.objects.get(user=bob)
    assert client_of(alice).post(reverse("accounts:remove", args=[member.pk])).status_code == 302
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert client_of(bob).get(reverse("accounts:tokens", args=[team.slug])).status_code == 404
    assert AuditEntry.objects.get(action="member.removed").detail == {"tokens_revoked": 1}


def test_renaming_keeps_the_address(client_of, alice, team):
    client_of(alice).post(
        reverse("accounts:rename-team", args=[team.slug]), {"name": "  New   name "}
    )
    team.refresh_from_db()
    assert (team.name, team.slug) == ("New name", "acme-labs")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_owners_leaving_at_once_leave_one(alice, bob, team):
    Membership.objects.filter(user=bob).update(role=Role.OWNER)
    members = list(Membership.objects.filter(team=team).select_related("user"))

    def leave(member: Membership) -> bool:
        try:
            membership.remove(member, member.user)
        except LastOwner:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, members)) == [False, True]
    assert Membership.objects.get(team=team).role == Role.OWNER


def test_a_second_invitation_of_the_same_person_replaces_the_first(client_of, alice, team):
    first = invite(client_of(alice), team, email="Grace@acme.test", role="admin").context["link"]
    second = invite(client_of(alice), team, role="viewer").context["link"]
    assert Invitation.objects.open().count() == 1
    person = client_of(grace())
    assert person.post(first).status_code == 410
    assert person.post(second).status_code == 302
    assert Membership.objects.get(user__email="grace@acme.test").role == Role.VIEWER


def hand_over(client, team, heir, typed_name=None):
    form = {"member": heir.pk, "typed_name": typed_name or team.name}
    return client.post(reverse("accounts:hand-over", args=[team.slug]), form)


def role(user, team):
    return Membership.objects.get(user=user, team=team).role


def test_an_owner_hands_the_team_over_and_stays_as_admin(client_of, alice, bob, team):
    heir = Membership.objects.get(user=bob, team=team)
    page = client_of(alice).get(reverse("accounts:members", args=[team.slug])).content.decode()
    assert f'<option value="{heir.pk}">{bob.email}</option>' in page
    assert hand_over(client_of(alice), team, heir).status_code == 302
    assert (role(bob, team), role(alice, team)) == (Role.OWNER, Role.ADMIN)
    entries = AuditEntry.objects.filter(team=team, action="member.role_changed")
    assert {entry.target for entry in entries} == {alice.email, bob.email}


def test_nothing_is_handed_over_by_others_by_mistake_or_outside(
    client_of, alice, bob, mallory, team, other_team
):
    own, heir = (Membership.objects.get(user=user, team=team) for user in (alice, bob))
    outside = Membership.objects.get(user=mallory, team=other_team)
    before = list(Membership.objects.order_by("pk").values("pk", "role"))
    assert hand_over(client_of(alice), team, heir, typed_name="Acme").status_code == 400
    assert hand_over(client_of(alice), team, outside).status_code == 404
    assert hand_over(client_of(alice), team, own).status_code == 400
    assert hand_over(client_of(bob), team, heir).status_code == 403
    assert hand_over(client_of(mallory), team, heir).status_code == 404
    Membership.objects.filter(pk=heir.pk).update(role=Role.ADMIN)
    assert hand_over(client_of(bob), team, heir).status_code == 403
    Membership.objects.filter(pk=heir.pk).update(role=Role.MEMBER)
    assert list(Membership.objects.order_by("pk").values("pk", "role")) == before
