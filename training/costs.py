"""What jobs have cost, for many at once: the same sums as `billing.summary`, in the same query."""

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

from billing.models import LedgerEntry, MeteredRun
from billing.money import MS_PER_SECOND, NANO_PER_MICRO
from billing.summary import RUN_MICRO, RUN_MS, Summary, summary_of
from training.models import Attempt, TrainingJob

SOURCE = Concat(Value("training-job:"), Cast(OuterRef("pk"), TextField()))


def with_costs(jobs: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
    """The same jobs, each carrying what `cost_of` needs, so that a list asks once."""
    runs = MeteredRun.objects.filter(source=SOURCE).order_by().values("source")
    refunds = LedgerEntry.objects.filter(about=SOURCE, kind=LedgerEntry.Kind.REFUND)
    return jobs.annotate(
        used_ms=_total(runs, Sum(RUN_MS)),
        charged_micro=_total(runs, Sum(RUN_MICRO)),
        refunds_micro=_total(refunds.order_by().values("about"), Sum("amount_micro")),
    )


def _total(rows: QuerySet[Any, Any], total: Sum) -> Coalesce:
    summed = rows.annotate(total=total).values("total")
    return Coalesce(Subquery(summed, output_field=BigIntegerField()), Value(0))


def cost_of(job: TrainingJob) -> Summary:
    """What the job used and cost so far; free of queries when it came through `with_costs`."""
    facts = job.__dict__
    if "charged_micro" not in facts:
        return summary_of(job.source)
    return Summary(facts["used_ms"], facts["charged_micro"], -facts["refunds_micro"])


def with_amounts(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """Attempts with `amount_micro`, what each was charged before refunds."""
    return attempts.select_related("run").annotate(
        amount_micro=ExpressionWrapper(
            F("run__billed_ms")
            * F("run__devices")
            * F("run__rate__nano_per_unit")
            / (MS_PER_SECOND * NANO_PER_MICRO),
            BigIntegerField(),
        )
    )
