"""On a model's page: other forms of it, made and to be made."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.permissions import has_permission, require_permission
from training.forms.exports import ExportForm
from training.jobs.exports import MAX_LISTED, formats_of, launch_export
from training.models import TrainedModel
from training.queries.evaluation_report import report_of
from training.queries.lookups import find_model
from web.requests import AuthenticatedRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def model_exports(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """GET: the forms made so far, and what can be made. POST: queue the job that makes one."""
    model, user = find_model(request.user, model_id), request.user
    if request.method == "POST":
        require_permission(user, model.team, "write")
        form = ExportForm(model, request.POST)
        if form.is_valid():
            job = launch_export(model, form.to_export_request(), user, user)
            return redirect("training:job", job.pk)
        return render(
            request, "training/exports.html", exports_context(model, user, form), status=400
        )
    return render(request, "training/exports.html", exports_context(model, user))


def exports_context(
    model: TrainedModel, user: User, form: ExportForm | None = None
) -> dict[str, object]:
    may_export = has_permission(user, model.team, "write") and bool(formats_of(model))
    jobs = model.exports.select_related("model", "compute_class").order_by("-created_at")
    return {
        "model": model,
        "team": model.team,
        "export_form": (form or ExportForm(model)) if may_export else None,
        "variants": [
            {"job": job, "card": report_of(job.model).get("card") if job.model else None}
            for job in jobs[:MAX_LISTED]
        ],
    }
