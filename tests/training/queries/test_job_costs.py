"""Costs of many jobs in one query are the same numbers that billing tells of one."""

from datetime import timedelta

from django.utils.timezone import now

from billing.metering import runs
from billing.metering.cost_summary import load_cost_summary
from billing.models import MeteredRun, RunEndReason
from training.models import Attempt, TrainingJob
from training.queries.job_costs import cost_of, with_charged_amounts, with_costs


def test_costs_of_a_list_equal_billings_own_summary(job):
    for number in (1, 2):
        run = runs.open_run(job.team, job.source, "cpu")
        MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(minutes=2))
        runs.heartbeat(run.pk, run.fence, 40_000 * number)
        Attempt.objects.create(job=job, number=number, worker="a", run=run, ended_at=now())
        runs.end_run(run.pk, RunEndReason.LEASE)
        MeteredRun.objects.filter(pk=run.pk).update(
            started_at=now() - timedelta(minutes=9 - 4 * number),
            ended_at=now() - timedelta(minutes=8 - 4 * number),
        )
        runs.refund_lost_work(run.pk, "Lost") if number == 1 else None
    (listed,) = with_costs(TrainingJob.objects.all())
    assert cost_of(listed) == load_cost_summary(job.source)
    assert cost_of(listed).refunded_micro > 0
    charged = [attempt.amount_micro for attempt in with_charged_amounts(job.attempts.all())]
    assert sum(charged) == cost_of(listed).amount_micro


def test_a_job_that_never_ran_costs_nothing(job):
    (listed,) = with_costs(TrainingJob.objects.all())
    assert cost_of(listed) == load_cost_summary(job.source)
    assert cost_of(listed).net_micro == 0


def test_the_bill_calls_a_job_by_its_name(job, alice, client_of):
    TrainingJob.objects.filter(pk=job.pk).update(name="=Support intents")
    run = runs.open_run(job.team, job.source, "cpu")
    MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(minutes=2))
    runs.heartbeat(run.pk, run.fence, 40_000)
    home, client = f"/teams/{job.team.slug}/usage/", client_of(alice)
    for page in ("", "statement/"):
        assert b">=Support intents</a>" in client.get(home + page).content
    table = client.get(f"{home}export.csv?by=job").content.decode()
    assert ",'=Support intents" in table  # No spreadsheet takes it for a formula.
    TrainingJob.objects.filter(pk=job.pk).delete()
    assert f">Fine-tune {str(job.pk)[:8]}</a>" in client.get(home).content.decode()
