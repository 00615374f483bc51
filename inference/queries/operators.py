"""The home page of operators: machines, failures of jobs, new people and teams, charges, and what
waits to be sent to Stripe."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q, Sum
from django.utils.timezone import now

from accounts.models import Team, User
from billing.models import StripeOutbox, UsageDay
from billing.months import this_month
from training.models import Status, TrainingJob
from training.queries.machines.classes import ComputeClassRow, compute_class_rows
from training.queries.machines.load import TrainerLoad, trainer_loads

RECENT = timedelta(days=7)


@dataclass(frozen=True)
class OperatorHome:
    machines: list[ComputeClassRow]
    trainers: list[TrainerLoad]
    failures: list[tuple[str, int]]  # Of the last week, by reason, the most frequent first.
    people: int
    people_this_week: int
    teams: int
    teams_this_week: int
    revenue_micro: int  # This month's charges, in micro-USD.
    revenue_today_micro: int
    outbox_waiting: int  # Messages to Stripe that are not sent yet.
    outbox_since: datetime | None  # When the first of them was or is due.
    outbox_dead: int  # Messages that are no longer tried.


def load_home() -> OperatorHome:
    week_ago, today = now() - RECENT, now().date()
    failed = TrainingJob.objects.filter(status=Status.FAILED, finished_at__gte=week_ago)
    reasons = failed.order_by().values_list("failure_code").annotate(count=Count("pk"))
    people = User.objects.filter(is_active=True).aggregate(
        all=Count("pk"), new=Count("pk", filter=Q(date_joined__gte=week_ago))
    )
    teams = Team.objects.aggregate(
        all=Count("pk"), new=Count("pk", filter=Q(created_at__gte=week_ago))
    )
    charged = UsageDay.objects.filter(day__gte=this_month().start.date()).aggregate(
        month=Sum("amount_micro"), today=Sum("amount_micro", filter=Q(day=today))
    )
    outbox = StripeOutbox.objects.aggregate(
        waiting=Count("pk", filter=Q(status__in=StripeOutbox.UNDELIVERED)),
        since=Min("next_at", filter=Q(status__in=StripeOutbox.UNDELIVERED)),
        dead=Count("pk", filter=Q(status=StripeOutbox.Status.DEAD)),
    )
    return OperatorHome(
        machines=compute_class_rows(),
        trainers=trainer_loads(),
        failures=sorted(reasons, key=lambda row: -row[1]),
        people=people["all"],
        people_this_week=people["new"],
        teams=teams["all"],
        teams_this_week=teams["new"],
        revenue_micro=charged["month"] or 0,
        revenue_today_micro=charged["today"] or 0,
        outbox_waiting=outbox["waiting"],
        outbox_since=outbox["since"],
        outbox_dead=outbox["dead"],
    )
