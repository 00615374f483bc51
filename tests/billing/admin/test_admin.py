import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import AuditEntry, User
from billing.budgets import budget
from billing.ledger.corrections import BadAdjustment, post_adjustment
from billing.metering.runs import refund_lost_work
from billing.models import CreditGrant, LedgerEntry, Rate
from billing.pricing import BadRate, supersede
from tests.billing.statements.test_statement import ran


@pytest.fixture
def operator(db, client_of) -> Client:
    return client_of(User.objects.create_superuser("root@lathe.test", "correct horse battery"))


@pytest.mark.parametrize(
    "page",
    [
        "plan",
        "rate",
        "budget",
        "meteredrun",
        "usagesegment",
        "usageevent",
        "ledgerentry",
        "creditgrant",
        "invoice",
    ],
)
def test_every_list_opens_for_operators_only(operator, alice, client_of, page):
    assert operator.get(f"/admin/billing/{page}/").status_code == 200
    assert client_of(alice).get(f"/admin/billing/{page}/").status_code == 302


def test_a_new_rate_ends_the_one_in_force(operator):
    before = Rate.objects.current("cpu")
    answer = operator.post("/admin/billing/rate/add/", {"sku": "cpu", "nano_per_unit": 30_000})
    assert answer.status_code == 302
    assert Rate.objects.current("cpu").nano_per_unit == 30_000
    ended = Rate.objects.get(pk=before.pk)
    assert ended.nano_per_unit == before.nano_per_unit
    assert ended.valid.upper == Rate.objects.current("cpu").valid.lower


def test_a_negative_rate_is_refused(db):
    with pytest.raises(BadRate):
        supersede("cpu", -1)


def test_an_adjustment_is_booked_once_with_its_reason(operator, team, alice):
    form = {
        "team": str(team.pk), "dollars": "-0.0005", "note": "Sorry", "request_id": str(uuid.uuid4())
    }  # fmt: skip
    for _ in range(2):
        assert operator.post("/admin/billing/ledgerentry/add/", form).status_code == 302
    entry = LedgerEntry.objects.get(source__startswith="adjustment:")
    assert (entry.amount_micro, entry.note) == (-500, "Sorry")
    assert budget.get_budget(team).spent_micro == 0  # What nothing was charged for is credit.
    assert AuditEntry.objects.get(action="ledger.adjusted").actor == "root@lathe.test"


@pytest.mark.parametrize(("typed", "micro"), [("12.34", 12_340_000), ("-1", -1_000_000)])
def test_an_adjustment_is_typed_in_dollars(operator, team, typed, micro):
    form = {"team": str(team.pk), "dollars": typed, "note": "Why", "request_id": str(uuid.uuid4())}
    assert operator.post("/admin/billing/ledgerentry/add/", form).status_code == 302
    assert LedgerEntry.objects.get(source__startswith="adjustment:").amount_micro == micro


@pytest.mark.parametrize("typed", ["0", "0.0000001", "-1000001", "a lot", ""])
def test_an_adjustment_that_is_no_amount_of_dollars_is_refused_in_the_form(operator, team, typed):
    form = {"team": str(team.pk), "dollars": typed, "note": "Why", "request_id": str(uuid.uuid4())}
    answer = operator.post("/admin/billing/ledgerentry/add/", form)
    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not LedgerEntry.objects.filter(source__startswith="adjustment:").exists()


@pytest.mark.parametrize(("amount", "reason"), [(0, "why"), (5, "  ")])
def test_an_adjustment_needs_an_amount_and_a_reason(team, alice, amount, reason):
    with pytest.raises(BadAdjustment):
        post_adjustment(team, amount, reason, by=alice, request_id=uuid.uuid4())


def test_a_booked_entry_cannot_be_changed_in_the_admin(operator, team, alice):
    entry = post_adjustment(team, -5, "why", by=alice, request_id=uuid.uuid4())
    url = f"/admin/billing/ledgerentry/{entry.pk}"
    assert operator.post(f"{url}/change/", {"amount_micro": 0}).status_code == 403
    assert operator.post(f"{url}/delete/", {"post": "yes"}).status_code == 403


def action_url(model, subject, name):
    return reverse(f"admin:billing_{model}_deed", args=[subject.pk, name])


def form_of(operator, url, **typed):
    """What a browser would send: the page's own request id, and what was typed."""
    page = operator.get(url)
    assert page.status_code == 200
    return {"request_id": str(page.context["form"]["request_id"].value()), **typed}


@pytest.fixture
def run(team):
    return ran(team, "training-job:1", steps=10)


def test_the_pages_of_a_team_and_a_run_offer_their_actions(operator, team, run):
    budget.get_budget(team)
    page = operator.get(f"/admin/billing/budget/{team.pk}/change/").content.decode()
    assert all(word in page for word in ["Grant credit", "Set the cap", "Put on hold"])
    page = operator.get(f"/admin/billing/meteredrun/{run.pk}/change/").content.decode()
    assert "Refund" in page


def test_a_refund_is_given_once_and_never_more_than_was_charged(operator, team, run):
    charged = LedgerEntry.objects.filter(run=run).total_micro()
    url = action_url("meteredrun", run, "refund")
    form = form_of(operator, url, reason="Our fault", scope="run", dollars="0.01")
    for _ in range(2):
        assert operator.post(url, form).status_code == 302
    assert LedgerEntry.objects.filter(run=run).total_micro() == charged - 10_000
    too_much = form_of(operator, url, reason="More", scope="run", dollars="9")
    assert "can be given back" in operator.post(url, too_much).content.decode()
    rest = form_of(operator, url, reason="All of it", scope="job", dollars="")
    assert operator.post(url, rest).status_code == 302
    assert LedgerEntry.objects.filter(run=run).total_micro() == 0
    entry = AuditEntry.objects.filter(action="ledger.refunded").first()
    assert (entry.actor, entry.detail["reason"]) == ("root@lathe.test", "Our fault")


def test_a_refund_of_a_job_covers_all_its_runs(operator, team, run):
    ran(team, "training-job:1", fence=2, steps=3)
    url = action_url("meteredrun", run, "refund")
    operator.post(url, form_of(operator, url, reason="Sorry", scope="job", dollars=""))
    assert LedgerEntry.objects.filter(about="training-job:1").total_micro() == 0
    assert refund_lost_work(run.pk, "Lost") == 0


def test_credit_is_granted_once_until_the_end_of_a_month(operator, team):
    budget.get_budget(team)
    url = action_url("budget", budget.get_budget(team), "credit")
    on = (now() + timedelta(days=40)).date()
    form = form_of(operator, url, reason="Welcome", dollars="12.50", kind="promo",
                   expires_on=on.isoformat(), priority="50")  # fmt: skip
    for _ in range(2):
        assert operator.post(url, form).status_code == 302
    grant = CreditGrant.objects.get()
    assert (grant.granted_micro, grant.expires_at.day) == (12_500_000, 1)
    assert grant.expires_at.date() > on


def test_operators_hold_release_and_cap_a_team_with_a_reason(operator, team):
    held = budget.get_budget(team)
    for name, typed in [
        ("hold", {}), ("release", {}), ("cap", {"dollars": "7"}),
    ]:  # fmt: skip
        url = action_url("budget", held, name)
        assert operator.post(url, {"reason": "", **typed}).status_code == 200
        form = form_of(operator, url, reason="Asked by phone", **typed)
        assert operator.post(url, form).status_code == 302
        if name == "hold":
            assert budget.get_budget(team).held_at is not None
    assert (budget.get_budget(team).held_at, budget.get_budget(team).cap_micro) == (None, 7_000_000)
    done = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"team.held", "team.released", "cap.changed"} <= done


def test_actions_are_for_operators_with_the_right(team, alice, client_of, run):
    helper = User.objects.create_user("helper@lathe.test", "correct horse battery", is_staff=True)
    held = budget.get_budget(team)
    for url in (action_url("budget", held, "credit"), action_url("meteredrun", run, "refund")):
        assert client_of(helper).get(url).status_code == 403
        assert client_of(alice).post(url).status_code == 302
    assert not CreditGrant.objects.exists()


def test_an_unknown_action_is_not_found(operator, team):
    assert operator.get(action_url("budget", budget.get_budget(team), "nope")).status_code == 404
