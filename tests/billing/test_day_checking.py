"""The daily sums against the ledger: found when tampered with, told of, and added up anew."""

import uuid
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.utils import IntegrityError

from accounts.models import AuditEntry, User
from billing import credits, day_checking
from billing.models import CreditDay, DayRebuild, OperatorAlert, UsageDay
from tests.billing.test_usage import asked, ran


@contextmanager
def triggers_asleep():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = origin")


def everything():
    usage = UsageDay.objects.order_by("source", "run", "token_prefix", "day")
    used = CreditDay.objects.order_by("grant", "day")
    kept = ("day", "source", "run", "sku", "device_ms", "units", "requests", "amount_micro")
    return list(usage.values_list(*kept)), list(used.values_list("day", "grant", "used_micro"))


@pytest.fixture
def used(team):
    """Runs, answers and credit of a team, as the triggers add them up."""
    credits.grant(team, 40, kind="promo", source="test:1", note="A gift")
    ran(team, f"training-job:{uuid.uuid4()}")
    asked(team, f"deployment:{uuid.uuid4()}", "a", 500)
    assert UsageDay.objects.count() == 2
    return everything()


def test_what_the_triggers_add_up_equals_the_ledger(used):
    assert day_checking.check() == []
    assert not OperatorAlert.objects.exists()


def tamper_amount():
    UsageDay.objects.filter(device_ms__gt=0).update(amount_micro=1)


def tamper_units():
    UsageDay.objects.filter(units__gt=0).update(units=1)


def tamper_gone():
    UsageDay.objects.all().delete()


def tamper_credit(team):
    grant = credits.grant(team, 7, kind="promo", source="test:2", note="Another")
    with triggers_asleep():
        CreditDay.objects.create(team=team, grant=grant, day="2026-01-31", used_micro=7)


@pytest.mark.parametrize("tamper", [tamper_amount, tamper_units, tamper_gone])
def test_a_tampered_sum_is_an_alert_until_it_is_rebuilt(used, team, alice, tamper):
    with triggers_asleep():
        tamper()
    [found] = day_checking.check()
    assert (found.team, found.day) == (team, used[0][0][0])
    told = OperatorAlert.objects.get()
    assert team.slug in told.sentence
    assert str(found.day) in told.sentence
    assert day_checking.rebuild(team, "Somebody ran SQL", by=alice) == [found]
    assert everything() == used
    told.refresh_from_db()
    assert told.settled_at is not None
    assert DayRebuild.objects.get().by == alice
    assert AuditEntry.objects.get(action="day_sums.rebuilt").target == str(found.day)
    assert day_checking.rebuild(team, "Again", by=alice) == []


def test_a_sum_of_credit_nobody_used_is_found_too(used, team, other_team):
    tamper_credit(team)
    [found] = day_checking.check()
    assert (found.book, found.ledger_micro, found.sums_micro) == ("credit", 0, 7)
    assert day_checking.differences(other_team) == []
    assert "a difference of $0.000007" in OperatorAlert.objects.get().sentence


def test_the_command_says_what_differs_and_rebuilds_when_told(used):
    call_command("check_day_sums", stdout=(said := StringIO()))
    assert "Every day's sums equal the ledger." in said.getvalue()
    with triggers_asleep():
        tamper_amount()
    with pytest.raises(CommandError, match="1 differences"):
        call_command("check_day_sums", stdout=StringIO())
    call_command("check_day_sums", rebuild="Restored a backup", stdout=StringIO())
    assert everything() == used


def test_an_operator_rebuilds_on_the_page_of_the_budget(used, team, client_of):
    operator = client_of(User.objects.create_superuser("root@lathe.test", "correct horse battery"))
    page = f"/admin/billing/budget/{team.pk}/deed/sums/"
    form = {"reason": "Somebody ran SQL", "request_id": str(uuid.uuid4())}
    with triggers_asleep():
        tamper_gone()
    answer = operator.post(page, form, follow=True)
    assert "Added up anew from the ledger: " in answer.content.decode()
    assert everything() == used
    again = operator.post(page, form, follow=True).content.decode()
    assert "nothing was to be done" in again


def test_a_rebuild_is_kept_for_good(used, team):
    DayRebuild.objects.create(team=team, day=used[0][0][0], reason="A look")
    assert everything() == used
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        DayRebuild.objects.all().delete()
