"""The promotion rule of a deployment: what a model must show before the name moves to it.

Judged on the stored reports; every verdict is kept with its reasons. A model that fails leaves the
name where it is.
"""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.notices import tell
from inference.errors import BadRule
from inference.models import Deployment, PromotionRule, PromotionVerdict
from training.model_comparing import CannotCompare, compare_models
from training.models import TrainedModel
from training.report_plots import shown_value
from training.report_reading import report_of

FEWEST_SLICE_ROWS = 30  # A slice of fewer rows says too little to keep a model back.


@dataclass(frozen=True)
class Wanted:
    """A rule as somebody asks for it. For errors and losses "at least" means at most."""

    metric: str
    threshold: float | None = None
    slice_threshold: float | None = None
    not_worse: bool = True


def set_rule(deployment: Deployment, wanted: Wanted, viewer: User | ApiToken) -> PromotionRule:
    """Raises BadRule for a metric that the deployed model's report does not have."""
    known = measured_names(deployment.model)
    if wanted.metric not in known:
        raise BadRule(
            f"The report of {deployment.model.name} has no metric {wanted.metric!r}. It has:"
            f" {', '.join(known) or 'none'}.",
            param="metric",
        )
    if wanted.threshold is None and wanted.slice_threshold is None and not wanted.not_worse:
        raise BadRule(param="threshold")
    rule, _ = PromotionRule.objects.update_or_create(
        deployment=deployment,
        defaults={
            "metric": wanted.metric,
            "threshold": wanted.threshold,
            "slice_threshold": wanted.slice_threshold,
            "not_worse": wanted.not_worse,
            "changed_at": now(),
        },
    )
    audit.record(deployment.team, viewer, "promotion.set", deployment.name, rule=str(rule))
    return rule


def drop_rule(deployment: Deployment, viewer: User | ApiToken) -> None:
    """From now on any model of the team may take the name."""
    if PromotionRule.objects.filter(deployment=deployment).delete()[0]:
        audit.record(deployment.team, viewer, "promotion.dropped", deployment.name)


def rule_of(deployment: Deployment) -> PromotionRule | None:
    return PromotionRule.objects.filter(deployment=deployment).first()


def measured_names(model: TrainedModel) -> list[str]:
    """Metrics of the model's report that have a value."""
    metrics = report_of(model).get("metrics", [])
    return [metric["name"] for metric in metrics if metric.get("value") is not None]


def judge(deployment: Deployment, model: TrainedModel) -> PromotionVerdict | None:
    """The verdict on moving the name to this model, recorded and told if it fails; None without a
    rule, or when it is the model already deployed."""
    rule = rule_of(deployment)
    if rule is None or model.pk == deployment.model_id:
        return None
    checks = [*_checks(rule, deployment, model)]
    verdict = PromotionVerdict.objects.create(
        deployment=deployment,
        model=model,
        passed=all(check["passed"] for check in checks),
        checks=checks,
        rule=str(rule),
    )
    if not verdict.passed:
        _tell_kept(deployment, verdict)
    return verdict


def _checks(
    rule: PromotionRule, deployment: Deployment, model: TrainedModel
) -> list[dict[str, Any]]:
    report = report_of(model)
    found = []
    if rule.threshold is not None:
        found.append(_value_check(rule, report))
    if rule.slice_threshold is not None:
        found.append(_slice_check(rule, report))
    if rule.not_worse:
        found.append(_rival_check(deployment, model))
    return found


def _check(passed: bool, sentence: str) -> dict[str, Any]:
    return {"passed": passed, "sentence": sentence}


def _metric(metrics: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    known = (one for one in metrics if one["name"] == name and one.get("value") is not None)
    return next(known, None)


def _reaches(metric: dict[str, Any], threshold: float) -> bool:
    value: float = metric["value"]
    return value >= threshold if metric.get("better", "up") == "up" else value <= threshold


def _words(metric: dict[str, Any], threshold: float) -> str:
    bound = "at least" if metric.get("better", "up") == "up" else "at most"
    return f"{bound} {shown_value(metric, threshold)}"


def _value_check(rule: PromotionRule, report: dict[str, Any]) -> dict[str, Any]:
    metric = _metric(report.get("metrics", []), rule.metric)
    if metric is None or rule.threshold is None:
        return _check(False, f"Its report has no {rule.metric}.")
    passed = _reaches(metric, rule.threshold)
    title = metric.get("title", rule.metric)
    return _check(
        passed, f"{title} is {shown_value(metric)}, wanted {_words(metric, rule.threshold)}."
    )


def _slice_check(rule: PromotionRule, report: dict[str, Any]) -> dict[str, Any]:
    assert rule.slice_threshold is not None
    slices = [
        (f"{group['title']}: {one['name']}", metric)
        for group in report.get("breakdowns") or []
        for one in group["slices"]
        if one["rows"] >= FEWEST_SLICE_ROWS
        and (metric := _metric(one["metrics"], rule.metric)) is not None
    ]
    if not slices:
        return _check(
            False,
            f"No part of the test rows has {FEWEST_SLICE_ROWS} rows measured by {rule.metric}.",
        )
    better = slices[0][1].get("better", "up")
    worst = sorted(slices, key=lambda one: one[1]["value"], reverse=better == "down")[0]
    passed = _reaches(worst[1], rule.slice_threshold)
    return _check(
        passed,
        f"Its weakest part ({worst[0]}) has {shown_value(worst[1])}, wanted"
        f" {_words(worst[1], rule.slice_threshold)} in each of {len(slices)} parts.",
    )


def _rival_check(deployment: Deployment, model: TrainedModel) -> dict[str, Any]:
    """Surely worse on the same rows keeps it back. What cannot be compared is no proof either way
    and keeps it back too: the rule asks for proof."""
    try:
        found = compare_models(model, deployment.model)
    except CannotCompare as refusal:
        return _check(False, f"Not comparable with {deployment.model.name}: {refusal.sentence}")
    main = found["metrics"][0]
    values = (
        f"{main['title']} {shown_value(main, main['first'])} against"
        f" {shown_value(main, main['second'])} of {deployment.model.name}, which is deployed"
    )
    if found["verdict"] == "hurt":
        return _check(False, f"Surely worse: {values}.")
    return _check(True, f"Not worse: {values}.")


def _tell_kept(deployment: Deployment, verdict: PromotionVerdict) -> None:
    tell(
        deployment.team,
        "deployment.gated",
        f"{deployment.name} keeps its model: {verdict.model.name} was held back. {verdict.why}",
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
