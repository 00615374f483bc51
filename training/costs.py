"""What jobs have cost, for many at once: the same sums as `billing.summary`, in the same query."""

from typing import cast

from django.db.models import BigIntegerField, F, OuterRef, QuerySet, Subquery, Sum, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat

from billing.models import LedgerEntry, UsageSegment
from billing.summary import Summary, summary_of
from training.models import Attempt, TrainingJob

SOURCE = Concat(Value("training-job:"), Cast(OuterRef("pk"), TextField()))


def with_costs(jobs: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
    """The same jobs, each carrying what `cost_of` needs, so that a list asks once."""
    # Through the runs: their (source, fence) index finds a job's segments.
    used = UsageSegment.objects.filter(run__source=SOURCE).order_by().values("run__source")
    refunds = LedgerEntry.objects.filter(about=SOURCE, kind=LedgerEntry.Kind.REFUND)
    return jobs.annotate(
        used_ms=_total(used, "device_ms"),
        charged_micro=_total(used, "amount_micro"),
        refunds_micro=_total(refunds.order_by().values("about"), "amount_micro"),
    )


def _total(rows: QuerySet[UsageSegment, dict[str, str]] | object, field: str) -> Coalesce:
    grouped = cast(QuerySet[UsageSegment], rows)
    total = grouped.annotate(total=Sum(field)).values("total")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), Value(0))


def cost_of(job: TrainingJob) -> Summary:
    """What the job used and cost so far; free of queries when it came through `with_costs`."""
    facts = job.__dict__
    if "charged_micro" not in facts:
        return summary_of(job.source)
    return Summary(facts["used_ms"], facts["charged_micro"], -facts["refunds_micro"])


def with_amounts(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """Attempts with `amount_micro`, what each was charged before refunds."""
    return attempts.select_related("run").annotate(
        amount_micro=Coalesce(
            Sum(F("run__segments__amount_micro")), Value(0), output_field=BigIntegerField()
        )
    )
