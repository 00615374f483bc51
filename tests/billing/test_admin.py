import uuid

import pytest
from django.test import Client

from accounts.models import AuditEntry, User
from billing import budget
from billing.adjusting import BadAdjustment, adjust
from billing.models import LedgerEntry, Rate
from billing.rates import BadRate, supersede


@pytest.fixture
def operator(db, client_of) -> Client:
    return client_of(User.objects.create_superuser("root@lathe.test", "correct horse battery"))


@pytest.mark.parametrize(
    "page",
    ["plan", "rate", "budget", "meteredrun", "usagesegment", "usageevent", "ledgerentry"],
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
        "team": str(team.pk), "amount_micro": -500, "note": "Sorry", "request_id": str(uuid.uuid4())
    }  # fmt: skip
    for _ in range(2):
        assert operator.post("/admin/billing/ledgerentry/add/", form).status_code == 302
    entry = LedgerEntry.objects.get(kind="adjustment")
    assert (entry.amount_micro, entry.note) == (-500, "Sorry")
    assert budget.of(team).spent_micro == -500
    assert AuditEntry.objects.get(action="ledger.adjusted").actor == "root@lathe.test"


@pytest.mark.parametrize(("amount", "reason"), [(0, "why"), (5, "  ")])
def test_an_adjustment_needs_an_amount_and_a_reason(team, alice, amount, reason):
    with pytest.raises(BadAdjustment):
        adjust(team, amount, reason, by=alice, request_id=uuid.uuid4())


def test_a_booked_entry_cannot_be_changed_in_the_admin(operator, team, alice):
    entry = adjust(team, -5, "why", by=alice, request_id=uuid.uuid4())
    url = f"/admin/billing/ledgerentry/{entry.pk}"
    assert operator.post(f"{url}/change/", {"amount_micro": 0}).status_code == 403
    assert operator.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
