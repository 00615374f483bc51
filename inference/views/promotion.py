"""On a deployment's page: its promotion rule and the verdicts so far."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.permissions import has_permission, require_permission
from inference import promotion
from inference.deployments import find_deployment
from inference.forms.deployments import PromotionRuleForm
from inference.models import PromotionVerdict
from web.browser.refusals import status_of
from web.requests import AuthenticatedRequest

MAX_VERDICTS = 20


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def promotion_rule(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Show the rule; set it, or delete it when `drop` is sent."""
    deployment = find_deployment(request.user, deployment_id)
    is_update = request.method == "POST" and "drop" not in request.POST
    form = PromotionRuleForm(deployment, request.POST if is_update else None)
    if request.method == "POST":
        require_permission(request.user, deployment.team, "write")
        if "drop" in request.POST:
            promotion.delete_rule(deployment, request.user)
            form = PromotionRuleForm(deployment)
        elif form.is_valid():
            promotion.set_rule(deployment, promotion.RuleInput(**form.cleaned_data), request.user)
        if not request.htmx and not form.errors:
            return redirect("inference:deployment", deployment.pk)
    rule = promotion.rule_of(deployment)
    verdicts = PromotionVerdict.objects.filter(deployment=deployment).select_related("model")
    context = {
        "deployment": deployment,
        "team": deployment.team,
        "form": form,
        "rule": rule and promotion.describe_rule(rule),
        "verdicts": verdicts[:MAX_VERDICTS],
        "may_change": has_permission(request.user, deployment.team, "write"),
    }
    template = "inference/_promotion.html" if request.htmx else "inference/promotion.html"
    return render(request, template, context, status=status_of(form, invalid=200))
