"""On a deployment's page: its promotion rule and the verdicts so far."""

from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.access import can, require
from accounts.signed_in import SignedInRequest
from inference import promotion
from inference.models import Deployment, PromotionVerdict
from inference.pages import find_deployment

MOST_VERDICTS = 20


class RuleForm(forms.Form):
    """What a model must show before the name moves to it."""

    metric = forms.ChoiceField(label="Metric")
    threshold = forms.FloatField(
        required=False,
        label="Must reach",
        help_text="0.9 for 90%. For errors and losses: at most this.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    slice_threshold = forms.FloatField(
        required=False,
        label="In every part",
        help_text="The same metric in each part of the test rows with at least 30 rows.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    not_worse = forms.BooleanField(
        required=False, initial=True, label="Not worse than the deployed model, on the same rows"
    )

    def __init__(self, deployment: Deployment, data: object = None) -> None:
        rule = promotion.rule_of(deployment)
        initial = {name: getattr(rule, name) for name in self.base_fields} if rule else None
        super().__init__(data, initial=initial)  # type: ignore[arg-type]
        names = promotion.measured_names(deployment.model)
        self.fields["metric"].choices = [  # type: ignore[attr-defined]
            (name, name.replace("_", " ")) for name in names
        ]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def promotion_rule(request: SignedInRequest, deployment_id: UUID) -> HttpResponse:
    """Show the rule; set it, or drop it with `drop`."""
    found = find_deployment(request.user, deployment_id)
    form = RuleForm(found, request.POST if _is_setting(request) else None)
    if request.method == "POST":
        require(request.user, found.team, "write")
        if "drop" in request.POST:
            promotion.drop_rule(found, request.user)
            form = RuleForm(found)
        elif form.is_valid():
            promotion.set_rule(found, promotion.Wanted(**form.cleaned_data), request.user)
        if not request.htmx:
            return redirect("inference:deployment", found.pk)
    verdicts = PromotionVerdict.objects.filter(deployment=found).select_related("model")
    context = {
        "deployment": found,
        "team": found.team,
        "form": form,
        "rule": promotion.rule_of(found),
        "verdicts": verdicts[:MOST_VERDICTS],
        "may_change": can(request.user, found.team, "write"),
    }
    template = "inference/_promotion.html" if request.htmx else "inference/promotion.html"
    return render(request, template, context)


def _is_setting(request: SignedInRequest) -> bool:
    return request.method == "POST" and "drop" not in request.POST
