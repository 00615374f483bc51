"""The promotion rule of a deployment: what a model must show before the name moves to it.

Rules are evaluated on stored reports and predictions. Every verdict is kept with its reasons; a
model that fails leaves the name where it is.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.notifications.publish import publish
from inference.errors import InvalidPromotionRule
from inference.models import Deployment, PromotionRule, PromotionVerdict
from inference.models.promotion import Check
from training.analysis.comparison import CannotCompare, compare_models
from training.models import TrainedModel
from training.queries.evaluation_report import report_of
from training.queries.svg_plots import format_metric_value

if TYPE_CHECKING:  # Every process loads this module, and these load numpy and pyarrow.
    from engine.evaluation.schema import Report
    from engine.metrics.measures import Measure

MIN_SLICE_ROWS = 30  # A slice of fewer rows says too little to keep a model back.


@dataclass(frozen=True)
class RuleInput:
    """A rule as somebody sets it. For errors and losses the thresholds are upper bounds."""

    metric: str
    threshold: float | None = None
    slice_threshold: float | None = None
    not_worse: bool = True


def set_rule(deployment: Deployment, rule: RuleInput, viewer: User | ApiToken) -> PromotionRule:
    """Raises InvalidPromotionRule for a metric that the deployed model's report does not have."""
    known = measured_metrics(deployment.model)
    if rule.metric not in known:
        raise InvalidPromotionRule(
            f"The report of {deployment.model.name} has no metric {rule.metric!r}. It has:"
            f" {', '.join(known) or 'none'}.",
            param="metric",
        )
    if rule.threshold is None and rule.slice_threshold is None and not rule.not_worse:
        raise InvalidPromotionRule(param="threshold")
    stored, _ = PromotionRule.objects.update_or_create(
        deployment=deployment, defaults={**asdict(rule), "changed_at": now()}
    )
    audit.record(
        deployment.team, viewer, "promotion.set", deployment.name, rule=describe_rule(stored)
    )
    return stored


def delete_rule(deployment: Deployment, viewer: User | ApiToken) -> None:
    """Let any model of the team take the name from now on."""
    if PromotionRule.objects.filter(deployment=deployment).delete()[0]:
        audit.record(deployment.team, viewer, "promotion.dropped", deployment.name)


def rule_of(deployment: Deployment) -> PromotionRule | None:
    return PromotionRule.objects.filter(deployment=deployment).first()


def describe_rule(rule: PromotionRule) -> str:
    """The rule in words: sentences, each of which can be translated by itself."""
    metric = _find_metric(report_of(rule.deployment.model).get("metrics", []), rule.metric)
    title, is_loss = _title_of(metric, rule.metric), _is_loss(metric)
    sentences = ["A model takes the name only if it meets every condition."]
    if rule.threshold is not None:
        bound = format_metric_value(metric or {}, rule.threshold)
        sentences.append(f"{title} must be {'at most' if is_loss else 'at least'} {bound}.")
    if rule.slice_threshold is not None:
        bound = format_metric_value(metric or {}, rule.slice_threshold)
        sentences.append(
            f"{title} must be {'at most' if is_loss else 'at least'} {bound} in each part of the"
            " test rows."
        )
    if rule.not_worse:
        sentences.append("It must not be worse than the deployed model on the same rows.")
    return " ".join(sentences)


def measured_metrics(model: TrainedModel) -> dict[str, str]:
    """The metrics that the model's report has a value for, with their titles."""
    metrics = report_of(model).get("metrics", [])
    return {
        metric["name"]: _title_of(metric, metric["name"])
        for metric in metrics
        if metric.get("value") is not None
    }


def evaluate_rule(deployment: Deployment, model: TrainedModel) -> PromotionVerdict | None:
    """Decide whether the name may move to this model, record the verdict and publish a refusal.

    None without a rule, or when it is the model already deployed. Downloads predictions and
    bootstraps them, so it must not be called inside a transaction that holds row locks.
    """
    rule = rule_of(deployment)
    if rule is None or model.pk == deployment.model_id:
        return None
    report = report_of(model)
    checks: list[Check] = []
    if rule.threshold is not None:
        checks.append(_threshold_check(report, rule.metric, rule.threshold))
    if rule.slice_threshold is not None:
        checks.append(_slice_check(report, rule.metric, rule.slice_threshold))
    if rule.not_worse:
        checks.append(_non_inferiority_check(deployment, model))
    with transaction.atomic():
        verdict = PromotionVerdict.objects.create(
            deployment=deployment,
            model=model,
            passed=all(check["passed"] for check in checks),
            checks=checks,
            rule=describe_rule(rule),
        )
        if not verdict.passed:
            _publish_gated(deployment, verdict)
    return verdict


def _find_metric(metrics: "Sequence[Measure]", name: str) -> "Measure | None":
    return next((one for one in metrics if one["name"] == name and one["value"] is not None), None)


def _title_of(metric: "Measure | None", name: str) -> str:
    """The metric is None where a report does not have it."""
    title = metric.get("title") if metric else None
    return title or name.replace("_", " ").capitalize()


def _is_loss(metric: "Measure | None") -> bool:
    return metric is not None and metric.get("better", "up") == "down"


def _meets_threshold(metric: "Measure", threshold: float) -> bool:
    assert metric["value"] is not None  # `_find_metric` returns no other.
    return metric["value"] <= threshold if _is_loss(metric) else metric["value"] >= threshold


def _threshold_check(report: "Report", name: str, threshold: float) -> Check:
    metric = _find_metric(report.get("metrics", []), name)
    title = _title_of(metric, name)
    if metric is None:
        return Check(passed=False, sentence=f"Its report has no {title}.")
    value, bound = format_metric_value(metric), format_metric_value(metric, threshold)
    return Check(
        passed=_meets_threshold(metric, threshold),
        sentence=f"{title} is {value}, wanted {'at most' if _is_loss(metric) else 'at least'}"
        f" {bound}.",
    )


def _slice_check(report: "Report", name: str, threshold: float) -> Check:
    """The worst slice of enough rows must reach the threshold."""
    slices = [
        (group["title"], part["name"], metric)
        for group in report.get("breakdowns") or []
        for part in group["slices"]
        if part["rows"] >= MIN_SLICE_ROWS
        and (metric := _find_metric(part["metrics"], name)) is not None
    ]
    if not slices:
        title = _title_of(None, name)
        sentence = f"No part of the test rows has {MIN_SLICE_ROWS} rows measured by {title}."
        return Check(passed=False, sentence=sentence)
    title, is_loss = _title_of(slices[0][2], name), _is_loss(slices[0][2])
    slices.sort(key=lambda part: part[2]["value"] or 0.0, reverse=is_loss)
    group_title, part_name, worst = slices[0]
    value, bound = format_metric_value(worst), format_metric_value(worst, threshold)
    return Check(
        passed=_meets_threshold(worst, threshold),
        sentence=f"{title} of its only part ({group_title}: {part_name}) is {value}, wanted"
        f" {'at most' if is_loss else 'at least'} {bound}."
        if len(slices) == 1
        else f"{title} of its weakest part ({group_title}: {part_name}) is {value}, wanted"
        f" {'at most' if is_loss else 'at least'} {bound} in each of {len(slices)} parts.",
    )


def _non_inferiority_check(deployment: Deployment, model: TrainedModel) -> Check:
    """Fails for a model that is significantly worse on the same rows, and for one that cannot be
    compared: the rule asks for proof."""
    try:
        comparison = compare_models(model, deployment.model)
    except CannotCompare as refusal:
        sentence = f"Not comparable with {deployment.model.name}: {refusal.sentence}"
        return Check(passed=False, sentence=sentence)
    main, deployed = comparison["metrics"][0], deployment.model.name
    title, value = main["title"], format_metric_value(main, main["first"])
    other_value = format_metric_value(main, main["second"])
    is_worse = comparison["verdict"] == "hurt"
    return Check(
        passed=not is_worse,
        sentence=f"{'Surely worse' if is_worse else 'Not worse'}: {title} is {value} against"
        f" {other_value} of {deployed}, which is deployed.",
    )


def _publish_gated(deployment: Deployment, verdict: PromotionVerdict) -> None:
    publish(
        deployment.team,
        "deployment.gated",
        f"{deployment.name} keeps its model: {verdict.model.name} was held back."
        f" {verdict.failure_summary}",
        url=reverse("inference:deployment", args=[deployment.pk]),
        data={
            "id": str(deployment.pk),
            "name": deployment.name,
            "model": str(verdict.model_id),
            "checks": verdict.checks,
        },
    )
    audit.record(
        deployment.team, None, "deployment.gated", deployment.name, model=str(verdict.model_id)
    )
