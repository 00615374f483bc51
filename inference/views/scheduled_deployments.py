"""The fragment on a job's page: deploy its model under a name as soon as it succeeds."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods

from accounts.permissions import has_permission, require_permission
from inference import scheduled_deployments
from inference.deployments import MAX_NAME_LENGTH
from inference.forms.deployments import NameForm
from inference.models import ScheduledDeployment
from training.models import TrainingJob
from web.requests import AuthenticatedRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def scheduled_deployment(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """What is planned for the job's model, and the form to plan it."""
    jobs = TrainingJob.objects.visible_to(request.user).select_related("team")
    job = get_object_or_404(jobs, pk=job_id)
    form = NameForm(request.POST or None, initial={"name": slugify(job.name)[:MAX_NAME_LENGTH]})
    if request.method == "POST":
        require_permission(request.user, job.team, "write")
        if form.is_valid():
            scheduled_deployments.deploy_when_succeeded(
                job, form.cleaned_data["name"], request.user
            )
            if not request.htmx:
                return redirect("training:job", job.pk)
    context = {
        "job": job,
        "team": job.team,
        "plan": ScheduledDeployment.objects.filter(job=job).select_related("deployment").first(),
        "form": form,
        "may_plan": has_permission(request.user, job.team, "write"),
    }
    template = "inference/_plan.html" if request.htmx else "inference/plan.html"
    return render(request, template, context)
