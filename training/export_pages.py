"""On a model's page: other forms of it, made and to be made."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.access import can, require
from accounts.models import User
from engine.spec import ExportSpec
from engine.spec.exporting import ABOUT
from training.exports import (
    ExportRequest,
    exports_of,
    formats_of,
    launch_export,
    options_of,
)
from training.forms import field_for, machine_choices, offered_machines
from training.job_pages import person
from training.model_pages import find_model
from training.models import TrainedModel
from training.report_reading import report_of


class ExportForm(forms.Form):
    """The form wanted and its options, generated from the engine's spec."""

    def __init__(self, model: TrainedModel, data: Any = None) -> None:
        super().__init__(data)
        fields = ExportSpec.model_fields
        self.fields["format"] = forms.ChoiceField(
            label="Form",
            help_text=" ".join(f"{one}: {ABOUT[one]}" for one in formats_of(model)),
            choices=[(one, one) for one in formats_of(model)],
        )
        self.options = options_of(model)
        for name in self.options:
            self.fields[name] = field_for(fields[name])
        machines = machine_choices(offered_machines())
        self.fields["compute"] = forms.ChoiceField(label="Machine", choices=machines)

    def wanted(self) -> ExportRequest:
        """Of a valid form."""
        given = self.cleaned_data
        options = {name: given[name] for name in self.options if given[name] is not None}
        return ExportRequest(format=given["format"], options=options, compute=given["compute"])


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def model_exports(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """GET: the forms made so far, and what can be made. POST: queue the job that makes one."""
    model, user = find_model(request.user, model_id), person(request)
    if request.method == "POST":
        require(user, model.team, "write")
        form = ExportForm(model, request.POST)
        if form.is_valid():
            job = launch_export(model, form.wanted(), user, user)
            return redirect("training:job", job.pk)
        return render(request, "training/exports.html", context_of(model, user, form), status=400)
    return render(request, "training/exports.html", context_of(model, user))


def context_of(model: TrainedModel, user: User, form: ExportForm | None = None) -> dict[str, Any]:
    may_export = can(user, model.team, "write") and bool(formats_of(model))
    return {
        "model": model,
        "team": model.team,
        "export_form": (form or ExportForm(model)) if may_export else None,
        "variants": [
            {"job": job, "card": report_of(job.model).get("card") if job.model else None}
            for job in exports_of(model)
        ],
    }
