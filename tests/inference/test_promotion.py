"""A deployment's rule lets better models through, holds others back, and keeps every verdict."""

import re

import pytest
from django.db import connection
from django.utils import translation

from accounts.models import Notice
from inference import deployments, promotion, scheduled_deployments
from inference.errors import BlockedByPromotionRule, InvalidPromotionRule
from inference.models import Deployment, PromotionRule, PromotionVerdict
from projects import storage
from tests.training.made import make_model
from training.artifacts.storage import PREDICTIONS_FILE
from web.language.sentences import translated

LABELS = ["card", "transfer"]
Wanted = promotion.RuleInput


@pytest.fixture
def models(job, tmp_path):
    return {
        name: make_model(job, tmp_path / name, LABELS, pull=pull)
        for name, pull in (("good", 4.0), ("better", 8.0), ("bad", 0.2))
    }


@pytest.fixture
def serving(models, alice):
    return deployments.deploy(models["good"], "intents", alice)


def test_without_a_rule_any_model_may_take_the_name(serving, models, alice):
    deployments.move(serving, models["bad"], alice)
    assert not PromotionVerdict.objects.exists()


def test_a_worse_model_is_held_back_with_reasons_a_record_and_a_notice(serving, models, alice):
    promotion.set_rule(serving, Wanted("accuracy", 0.9, 0.8), alice)
    with pytest.raises(BlockedByPromotionRule, match="Surely worse"):
        deployments.move(serving, models["bad"], alice)
    serving.refresh_from_db()
    assert serving.model == models["good"]
    verdict = PromotionVerdict.objects.get()
    assert [check["passed"] for check in verdict.checks] == [False, False, False]
    assert "wanted at least 90.0%" in verdict.failure_summary
    assert Notice.objects.get(event="deployment.gated").data["model"] == str(models["bad"].pk)


def test_a_model_as_good_passes_and_moves(serving, models, alice):
    promotion.set_rule(serving, Wanted("macro_f1", 0.9, 0.8), alice)
    deployments.move(serving, models["better"], alice)
    assert PromotionVerdict.objects.get().passed
    serving.refresh_from_db()
    assert serving.model == models["better"]


def test_losses_are_bounded_from_above(serving, models, alice):
    promotion.set_rule(serving, Wanted("log_loss", 0.3, not_worse=False), alice)
    with pytest.raises(BlockedByPromotionRule, match="wanted at most"):
        deployments.move(serving, models["bad"], alice)
    deployments.move(serving, models["better"], alice)


def test_a_plan_that_is_held_back_says_so_and_keeps_the_verdict(serving, models, job, alice):
    promotion.set_rule(serving, Wanted("accuracy", 0.9), alice)
    job.start()
    plan = scheduled_deployments.deploy_when_succeeded(job, "intents", alice)
    job.succeed(models["bad"])
    scheduled_deployments.advance_all()
    plan.refresh_from_db()
    assert plan.outcome.startswith("Not deployed: intents keeps its model.")
    assert PromotionVerdict.objects.get().model == models["bad"]
    assert Deployment.objects.get().model == models["good"]


def test_nonsense_rules_are_refused(serving, alice):
    with pytest.raises(InvalidPromotionRule, match="has no metric 'speed'"):
        promotion.set_rule(serving, Wanted("speed", 1.0), alice)
    with pytest.raises(InvalidPromotionRule, match="must ask for something"):
        promotion.set_rule(serving, Wanted("accuracy", not_worse=False), alice)


def test_the_rule_is_set_shown_and_dropped_on_the_page(serving, models, alice, vera, client_of):
    browser, path = client_of(alice), f"/deployments/{serving.pk}/promotion/"
    browser.post(path, {"metric": "accuracy", "threshold": "0.9", "not_worse": "on"})
    page = browser.get(path).content.decode()
    assert "Accuracy must be at least 90.0%. It must not be worse than" in page
    moved = browser.post(f"/deployments/{serving.pk}/move/", {"model": models["bad"].pk})
    assert moved.status_code == 409
    assert "held back" in browser.get(path).content.decode()
    assert client_of(vera).post(path, {"drop": "1"}).status_code == 403
    browser.post(path, {"drop": "1"})
    assert not PromotionRule.objects.exists()


@pytest.mark.parametrize("threshold", [0.9, 0.0001, None])
@pytest.mark.parametrize("slice_threshold", [0.8, None])
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_every_rule_and_verdict_is_in_the_readers_language(
    serving, models, alice, metric, threshold, slice_threshold
):
    rule = promotion.set_rule(serving, Wanted(metric, threshold, slice_threshold), alice)
    verdicts = [promotion.evaluate_rule(serving, models[name]) for name in ("better", "bad")]
    sentences = [promotion.describe_rule(rule)]
    sentences += [check["sentence"] for verdict in verdicts for check in verdict.checks]
    with translation.override("zh-hans"):
        shown = [translated(sentence) for sentence in sentences]
    english = re.compile("[a-z]{3,} [a-z]{2,}")
    assert [one for one in shown if english.search(one.replace(str(serving.model), ""))] == []


def test_a_rule_of_a_loss_says_that_it_is_a_bound_from_above(serving, alice):
    rule = promotion.set_rule(serving, Wanted("log_loss", 0.3, 0.5, not_worse=False), alice)
    sentence = promotion.describe_rule(rule)
    assert "Log loss must be at most 0.300." in sentence
    assert "Log loss must be at most 0.500 in each part of the test rows." in sentence


@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}])
def test_a_refused_rule_is_shown_open_with_its_sentence(serving, alice, client_of, headers):
    path = f"/deployments/{serving.pk}/promotion/"
    sent = {"metric": "accuracy", "threshold": "much"}
    page = client_of(alice).post(path, sent, headers=headers).content.decode()
    fold = page.partition('<details class="fold"')[2].partition("</details>")[0]
    assert fold.startswith(" open>")
    assert "Enter a number." in fold


def test_the_rule_over_the_api(serving, models, api, token, mallory_token):
    path = f"/api/v1/deployments/{serving.pk}"
    assert api(token).get(f"{path}/promotion-rule").status_code == 404
    rule = {"metric": "accuracy", "threshold": 0.9}
    answer = api(token).put(f"{path}/promotion-rule", rule, format="json")
    assert answer.json()["not_worse"] is True
    refused = api(token).patch(path, {"model": str(models["bad"].pk)}, format="json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "kept_by_rule")
    (verdict,) = api(token).get(f"{path}/promotion-verdicts").json()["data"]
    assert verdict["passed"] is False
    assert api(mallory_token).get(f"{path}/promotion-rule").status_code == 404
    assert api(token).delete(f"{path}/promotion-rule").status_code == 204


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("by_schedule", [True, False])
def test_predictions_are_compared_outside_of_any_transaction(
    serving, models, job, alice, monkeypatch, by_schedule
):
    """Downloading and bootstrapping take seconds: no row may be locked meanwhile."""
    compare, in_transaction = promotion.compare_models, []

    def compare_noting(*models):
        in_transaction.append(connection.in_atomic_block)
        return compare(*models)

    monkeypatch.setattr(promotion, "compare_models", compare_noting)
    promotion.set_rule(serving, Wanted("accuracy", 0.9), alice)
    if by_schedule:
        job.start()
        scheduled_deployments.deploy_when_succeeded(job, "intents", alice)
        job.succeed(models["better"])
        scheduled_deployments.advance_all()
    else:
        deployments.move(serving, models["better"], alice)
    assert in_transaction == [False]
    serving.refresh_from_db()
    assert serving.model == models["better"]


def test_a_model_without_stored_predictions_is_held_back(serving, models, alice):
    promotion.set_rule(serving, Wanted("accuracy"), alice)
    storage.delete(f"{models['better'].artifact_key}/{PREDICTIONS_FILE}")
    with pytest.raises(
        BlockedByPromotionRule, match="Not comparable with .* no stored predictions"
    ):
        deployments.move(serving, models["better"], alice)


def test_moving_to_the_deployed_model_is_never_held_back(serving, models, alice):
    promotion.set_rule(serving, Wanted("accuracy", 1.1), alice)
    deployments.move(serving, models["good"], alice)
    assert not PromotionVerdict.objects.exists()


def measure(value, better="up"):
    return {"name": "m", "title": "M", "value": value, "better": better, "share": False}


def part(name, rows, value, better="up"):
    return {"name": name, "rows": rows, "metrics": [measure(value, better)]}


@pytest.mark.parametrize(
    ("parts", "threshold", "passed", "words"),
    [
        ([part("a", 30, 0.9), part("b", 29, 0.1)], 0.8, True, "M of its only part (Part: a)"),
        ([part("a", 30, 0.9), part("b", 30, 0.7)], 0.8, False, "wanted at least"),
        ([part("a", 40, 2.0, "down"), part("b", 40, 3.0, "down")], 2.5, False, "(Part: b)"),
        ([part("a", 40, 2.0, "down"), part("b", 40, 2.4, "down")], 2.5, True, "at most"),
        ([part("a", 29, 0.9)], 0.8, False, "No part of the test rows has 30 rows"),
        ([part("a", 90, None)], 0.8, False, "No part of the test rows has 30 rows"),
    ],
)
def test_the_weakest_part_of_enough_rows_decides(parts, threshold, passed, words):
    report = {"breakdowns": [{"title": "Part", "slices": parts}]}
    check = promotion._slice_check(report, "m", threshold)
    assert check["passed"] is passed
    assert words in check["sentence"]


def test_a_report_without_the_metric_fails_its_threshold():
    check = promotion._threshold_check({"metrics": [measure(None)]}, "m", 0.5)
    assert check == {"passed": False, "sentence": "Its report has no M."}


@pytest.mark.parametrize(
    ("better", "value", "passed"), [("up", 0.5, True), ("up", 0.49, False), ("down", 0.5, True)]
)
def test_a_threshold_may_be_reached_exactly(better, value, passed):
    report = {"metrics": [measure(value, better)]}
    assert promotion._threshold_check(report, "m", 0.5)["passed"] is passed
