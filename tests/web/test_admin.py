"""What operators may do by hand with rows that the product writes."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.sites import AdminSite
from django.test import RequestFactory
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import AuditEntry, Team, User
from billing.budgets.budget import set_cap
from billing.metering import runs
from billing.models import Budget
from web import pagination
from web.admin import AppendOnlyAdmin, ReadOnlyAdmin
from web.pagination import LargeTablePaginator


class Entries(ReadOnlyAdmin):
    search_fields = ("actor",)


@pytest.fixture
def request_of_superuser(db):
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("root@lathe.test", "correct horse battery")
    return request


def test_read_only_rows_are_shown_but_never_added_changed_or_deleted(request_of_superuser):
    page = Entries(AuditEntry, AdminSite())
    assert page.has_view_permission(request_of_superuser)
    assert not page.has_add_permission(request_of_superuser)
    assert not page.has_change_permission(request_of_superuser)
    assert not page.has_delete_permission(request_of_superuser)


def test_append_only_rows_may_be_added(request_of_superuser):
    page = AppendOnlyAdmin(AuditEntry, AdminSite())
    assert page.has_add_permission(request_of_superuser)
    assert not page.has_change_permission(request_of_superuser)
    assert not page.has_delete_permission(request_of_superuser)


def test_a_slug_finds_the_teams_rows_and_other_words_search_columns(
    request_of_superuser, team, other_team
):
    of_team = AuditEntry.objects.create(team=team, actor="ann@x.test", action="a.b")
    of_other = AuditEntry.objects.create(team=other_team, actor="bob@x.test", action="a.b")
    page = Entries(AuditEntry, AdminSite())

    def found(text: str) -> list[AuditEntry]:
        rows = AuditEntry.objects.all()
        return list(page.get_search_results(request_of_superuser, rows, text)[0])

    assert found(f" {team.slug} ") == [of_team]
    assert found("bob@") == [of_other]
    assert found("nobody") == []


def test_counting_stops_at_the_limit(db, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(pagination, "MAX_COUNTED_ROWS", 3)
    Team.objects.bulk_create(Team(name=f"T{n}", slug=f"t{n}") for n in range(5))
    pages = LargeTablePaginator(Team.objects.order_by("name"), 2)
    with django_assert_num_queries(1):
        assert pages.count == 3
    assert pages.num_pages == 2
    assert LargeTablePaginator([1, 2, 3, 4], 2).count == 4


def test_no_row_that_the_product_writes_can_be_changed_by_hand(request_of_superuser):
    """Accounts' own: tokens, invitations, the audit log, notices and webhooks."""
    admin.autodiscover()  # As where URLs are loaded.
    for name in (
        *("apitoken", "invitation", "auditentry", "notice"),
        *("noticeemail", "webhookendpoint", "webhookdelivery"),
    ):
        [page] = [p for model, p in admin.site._registry.items() if model._meta.model_name == name]
        assert not page.has_add_permission(request_of_superuser), name
        assert not page.has_change_permission(request_of_superuser), name
        assert not page.has_delete_permission(request_of_superuser), name


def admin_pages(client):
    """(path, html) of the list and of one row of every model in the admin."""
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        paths = [reverse(f"{name}_changelist")]
        if (row := model._default_manager.first()) is not None:
            paths.append(reverse(f"{name}_change", args=[row.pk]))
        for path in paths:
            answer = client.get(path, follow=True)
            assert answer.status_code == 200, path
            yield path, answer.content.decode()


def test_every_page_of_the_admin_opens_and_shows_money_in_dollars(things, job, alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client, raw = client_of(alice), []
    run = runs.open_run(job.team, job.source, "cpu")
    runs.heartbeat(run.pk, run.fence, 5_000)
    set_cap(job.team, alice, 12_345_678)
    for path, html in admin_pages(client):
        shown = set(re.findall(r'class="[^"]*(?:field|column)-(\w+_(?:micro|cents))\b', html))
        editable = set(re.findall(r'<input[^>]* name="(\w+)"', html))
        raw += [(path, name) for name in shown - editable]
        assert ">12345678<" not in html, path
    assert raw == []
    budget = reverse("admin:billing_budget_change", args=[Budget.objects.get(team=job.team).pk])
    assert "$12.345678" in client.get(budget).content.decode()


def test_causes_of_costs_have_names_and_lead_to_their_pages(job, alice, client_of):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    run = runs.open_run(job.team, job.source, "cpu")
    # No more time is billed than has passed, and a few milliseconds of it cost nothing.
    type(run).objects.filter(pk=run.pk).update(started_at=now() - timedelta(seconds=10))
    runs.heartbeat(run.pk, run.fence, 5_000)
    for name in ("meteredrun", "usagesegment", "ledgerentry"):
        listed = client_of(alice).get(f"/admin/billing/{name}/").content.decode()
        assert f'<a href="/jobs/{job.pk}/">{job.name}</a>' in listed, name


def test_operators_go_to_and_fro_between_both_sides(things, job, alice, mallory, client_of):
    alice.is_staff = alice.is_superuser = mallory.is_staff = mallory.is_superuser = True
    alice.save()
    mallory.save()
    client = client_of(alice)
    for page, there in (
        (f"/jobs/{job.pk}/", f"/admin/training/trainingjob/{job.pk}/change/"),
        (f"/models/{things['model']}/", f"/admin/training/trainedmodel/{things['model']}/change/"),
        ("/teams/acme-labs/", f"/admin/accounts/team/{job.team_id}/change/"),
    ):
        assert there in client.get(page).content.decode()
        assert f'href="{page}"' in client.get(there).content.decode()
        assert f'href="{page}"' not in client_of(mallory).get(there).content.decode()
    team = client.get(f"/admin/accounts/team/{job.team_id}/change/").content.decode()
    assert job.name in team
    assert "Spent this month" in team


def test_nobody_else_is_shown_the_way_to_the_admin(things, bob, client_of):
    assert "/admin/" not in client_of(bob).get("/teams/acme-labs/").content.decode()
