"""The traffic of an endpoint's deployed model, canary and shadow, from the sampled requests."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Aggregate, Count, F, FloatField, Q, QuerySet
from django.utils.timezone import now

from inference.models import Deployment, RequestLog
from training.models import TrainedModel

WINDOW = timedelta(days=7)


class Percentile(Aggregate):
    """PostgreSQL's percentile_cont."""

    function = "percentile_cont"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: str, fraction: float, **extra: Any) -> None:
        super().__init__(expression, fraction=fraction, **extra)


@dataclass(frozen=True)
class ModelTraffic:
    """Sampled requests that one model answered."""

    role: str  # "deployed", "canary" or "shadow"
    model: TrainedModel
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None

    @property
    def model_id(self) -> UUID:
        return self.model.pk


@dataclass(frozen=True)
class Rollout:
    """Traffic of the deployed model and of those that are tried beside it. Of the requests that the
    shadow answered too, `shadow_agreed` got the same answer from both models."""

    deployed: ModelTraffic
    canary: ModelTraffic | None
    shadow: ModelTraffic | None
    shadow_compared: int
    shadow_agreed: int

    @property
    def rows(self) -> list[ModelTraffic]:
        parts = (self.deployed, self.canary, self.shadow)
        return [part for part in parts if part is not None]


def load_rollout(deployment: Deployment) -> Rollout:
    """The requests of the last WINDOW, but only since the endpoint's models last changed."""
    since = max(now() - WINDOW, deployment.changed_at)
    rows = RequestLog.objects.filter(deployment=deployment, at__gte=since)
    compared = rows.filter(shadow_answers__isnull=False, status=200)
    shadow = deployment.shadow_model
    if shadow is None:
        compared = compared.none()
    return Rollout(
        deployed=_traffic("deployed", deployment.model, rows.filter(model_key=deployment.model_id)),
        canary=_traffic(
            "canary", deployment.canary_model, rows.filter(model_key=deployment.canary_model_id)
        )
        if deployment.canary_model
        else None,
        shadow=_traffic("shadow", shadow, compared, "shadow_latency_ms") if shadow else None,
        shadow_compared=compared.count(),
        shadow_agreed=compared.filter(shadow_answers=F("answers")).count(),
    )


def _traffic(
    role: str, model: TrainedModel, rows: QuerySet[RequestLog], latency: str = "latency_ms"
) -> ModelTraffic:
    facts = rows.aggregate(
        requests=Count("pk"),
        errors=Count("pk", filter=Q(status__gte=500)),
        p50_ms=Percentile(latency, 0.5),
        p95_ms=Percentile(latency, 0.95),
    )
    return ModelTraffic(role, model, **facts)
