"""What many jobs have cost, in one query: the same sums as `billing.metering.cost_summary`."""

from typing import Any

from django.db.models import (
    BigIntegerField,
    ExpressionWrapper,
    F,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat

from billing.metering.cost_summary import (
    RUN_CHARGED_MICRO,
    RUN_DEVICE_MS,
    CostSummary,
    load_cost_summary,
)
from billing.models import LedgerEntry, MeteredRun
from billing.money import MS_PER_SECOND, NANO_PER_MICRO
from training.models import Attempt, TrainingJob

JOB_SOURCE = Concat(Value("training-job:"), Cast(OuterRef("pk"), TextField()))


def with_costs(jobs: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
    """The same jobs, annotated with what `cost_of` needs, so that a list costs no further query."""
    runs = MeteredRun.objects.filter(source=JOB_SOURCE).order_by().values("source")
    refunds = LedgerEntry.objects.filter(about=JOB_SOURCE, kind=LedgerEntry.Kind.REFUND)
    return jobs.annotate(
        used_ms=_sum_subquery(runs, Sum(RUN_DEVICE_MS)),
        charged_micro=_sum_subquery(runs, Sum(RUN_CHARGED_MICRO)),
        refunds_micro=_sum_subquery(refunds.order_by().values("about"), Sum("amount_micro")),
    )


def _sum_subquery(rows: QuerySet[Any, Any], total: Sum) -> Coalesce:
    summed = rows.annotate(total=total).values("total")
    return Coalesce(Subquery(summed, output_field=BigIntegerField()), Value(0))


def cost_of(job: TrainingJob) -> CostSummary:
    """What the job used and cost so far; without a query for a job out of `with_costs`."""
    facts = job.__dict__
    if "charged_micro" not in facts:
        return load_cost_summary(job.source)
    return CostSummary(facts["used_ms"], facts["charged_micro"], -facts["refunds_micro"])


def with_charged_amounts(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """The attempts with `amount_micro`: micro-USD that each was charged, before refunds."""
    return attempts.select_related("run").annotate(
        amount_micro=ExpressionWrapper(
            F("run__billed_ms")
            * F("run__devices")
            * F("run__rate__nano_per_unit")
            / (MS_PER_SECOND * NANO_PER_MICRO),
            BigIntegerField(),
        )
    )
