"""A deployment's rule lets better models through, holds others back, and keeps every verdict."""

import pytest

from accounts.models import Notice
from inference import deploy, planning, promotion
from inference.errors import BadRule, KeptByRule
from inference.models import Deployment, PromotionRule, PromotionVerdict
from tests.training.made import make_model

LABELS = ["card", "transfer"]
Wanted = promotion.Wanted


@pytest.fixture
def models(job, tmp_path):
    return {
        name: make_model(job, tmp_path / name, LABELS, pull=pull)
        for name, pull in (("good", 4.0), ("better", 8.0), ("bad", 0.2))
    }


@pytest.fixture
def serving(models, alice):
    return deploy.deploy(models["good"], "intents", alice)


def test_without_a_rule_any_model_may_take_the_name(serving, models, alice):
    deploy.move(serving, models["bad"], alice)
    assert not PromotionVerdict.objects.exists()


def test_a_worse_model_is_held_back_with_reasons_a_record_and_a_notice(serving, models, alice):
    promotion.set_rule(serving, Wanted("accuracy", 0.9, 0.8), alice)
    with pytest.raises(KeptByRule, match="Surely worse"):
        deploy.move(serving, models["bad"], alice)
    serving.refresh_from_db()
    assert serving.model == models["good"]
    verdict = PromotionVerdict.objects.get()
    assert [check["passed"] for check in verdict.checks] == [False, False, False]
    assert "wanted at least 90.0%" in verdict.why
    assert Notice.objects.get(event="deployment.gated").data["model"] == str(models["bad"].pk)


def test_a_model_as_good_passes_and_moves(serving, models, alice):
    promotion.set_rule(serving, Wanted("macro_f1", 0.9, 0.8), alice)
    deploy.move(serving, models["better"], alice)
    assert PromotionVerdict.objects.get().passed
    serving.refresh_from_db()
    assert serving.model == models["better"]


def test_losses_are_bounded_from_above(serving, models, alice):
    promotion.set_rule(serving, Wanted("log_loss", 0.3, not_worse=False), alice)
    with pytest.raises(KeptByRule, match="wanted at most"):
        deploy.move(serving, models["bad"], alice)
    deploy.move(serving, models["better"], alice)


def test_a_plan_that_is_held_back_says_so_and_keeps_the_verdict(serving, models, job, alice):
    promotion.set_rule(serving, Wanted("accuracy", 0.9), alice)
    job.start()
    plan = planning.deploy_when_succeeded(job, "intents", alice)
    job.succeed(models["bad"])
    planning.carry_all()
    plan.refresh_from_db()
    assert plan.outcome.startswith("Not deployed: intents keeps its model.")
    assert PromotionVerdict.objects.get().model == models["bad"]
    assert Deployment.objects.get().model == models["good"]


def test_nonsense_rules_are_refused(serving, alice):
    with pytest.raises(BadRule, match="has no metric 'speed'"):
        promotion.set_rule(serving, Wanted("speed", 1.0), alice)
    with pytest.raises(BadRule, match="must ask for something"):
        promotion.set_rule(serving, Wanted("accuracy", not_worse=False), alice)


def test_the_rule_is_set_shown_and_dropped_on_the_page(serving, models, alice, vera, client_of):
    browser, path = client_of(alice), f"/deployments/{serving.pk}/promotion/"
    browser.post(path, {"metric": "accuracy", "threshold": "0.9", "not_worse": "on"})
    page = browser.get(path).content.decode()
    assert "A model takes the name only if its accuracy reaches 0.9, and it is not worse" in page
    moved = browser.post(f"/deployments/{serving.pk}/move/", {"model": models["bad"].pk})
    assert moved.status_code == 409
    assert "held back" in browser.get(path).content.decode()
    assert client_of(vera).post(path, {"drop": "1"}).status_code == 403
    browser.post(path, {"drop": "1"})
    assert not PromotionRule.objects.exists()


def test_the_rule_over_the_api(serving, models, api, token, mallory_token):
    path = f"/api/v1/deployments/{serving.pk}"
    assert api(token).get(f"{path}/promotion-rule").status_code == 404
    rule = {"metric": "accuracy", "threshold": 0.9}
    answer = api(token).put(f"{path}/promotion-rule", rule, format="json")
    assert answer.json()["not_worse"] is True
    kept = api(token).patch(path, {"model": str(models["bad"].pk)}, format="json")
    assert (kept.status_code, kept.json()["error"]["code"]) == (409, "kept_by_rule")
    (verdict,) = api(token).get(f"{path}/promotion-verdicts").json()["data"]
    assert verdict["passed"] is False
    assert api(mallory_token).get(f"{path}/promotion-rule").status_code == 404
    assert api(token).delete(f"{path}/promotion-rule").status_code == 204
