"""The launch page: mapping, preview, base model, options and an estimate before the button."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import require
from accounts.models import User
from projects import preview
from projects.models import DatasetVersion
from training import chat_preview
from training.forms import LaunchForm
from training.job_pages import person
from training.launch import TASKS, launch
from training.models import TrainingJob
from training.offer import first_choices, offer_for, ready_version


@login_required
@require_http_methods(["GET", "POST"])
def launch_page(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """GET: the form with an estimate of the current choice. POST: launch, or say what is wrong."""
    version, user = _version(request, dataset_id), person(request)
    if request.method == "POST":
        require(user, version.dataset.project.team, "write")
        form = LaunchForm(version, request.POST)
        if offer_for(form, user).is_live:
            job = launch(dataset_version=version, user=user, wanted=form.wanted(), viewer=user)
            return redirect("training:job", job.pk)
        return _page(request, form, user, status=400)
    return _page(request, _chosen(request, version), user)


@login_required
@require_GET
def estimate_fragment(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """Fits, how long, how much, and the button."""
    version = _version(request, dataset_id)
    form = LaunchForm(version, request.GET)
    context = {"offer": offer_for(form, person(request)), "version": version}
    return render(request, "training/_estimate.html", context)


@login_required
@require_GET
def rows_fragment(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """Five final training rows under the columns chosen."""
    version = _version(request, dataset_id)
    context = _final_rows(LaunchForm(version, request.GET)) | {"version": version}
    return render(request, "training/_preview.html", context)


def _version(request: HttpRequest, dataset_id: UUID) -> DatasetVersion:
    sent = request.POST if request.method == "POST" else request.GET
    return ready_version(request.user, dataset_id, sent.get("version"))


def _chosen(request: HttpRequest, version: DatasetVersion) -> LaunchForm:
    """The choices in the URL (a form sent back without JavaScript), else the first ones."""
    if "compute" in request.GET:
        return LaunchForm(version, request.GET)
    if request.GET.get("task") in TASKS:
        return LaunchForm.starting_with(version, first_choices(version, None, request.GET["task"]))
    return LaunchForm.starting_with(version, first_choices(version, _earlier(request, version)))


def _earlier(request: HttpRequest, version: DatasetVersion) -> TrainingJob | None:
    """The job whose settings to start from, when the URL names one on the same dataset."""
    try:
        job_id = UUID(request.GET.get("again", ""))
    except ValueError:
        return None
    jobs = TrainingJob.objects.visible_to(request.user)
    return jobs.filter(pk=job_id, dataset_version__dataset=version.dataset_id).first()


def _final_rows(form: LaunchForm) -> dict[str, Any]:
    """Five rows as the model would get them, under whatever columns are chosen so far."""
    targets = form.columns_of(targets=True)
    inputs = form.columns_of(targets=False)
    if form.chosen_task != "text-generation":
        return {"rows": preview.rows(form.version, inputs, targets[0] if targets else None)}
    if form.data.get("messages_column"):
        found = chat_preview.shown_chats(form.version, str(form.data["messages_column"]))
    elif targets:
        found = chat_preview.shown_pairs(form.version, inputs, targets[0])
    else:
        found = []
    return {"is_chat": True, "chats": found}


def _page(request: HttpRequest, form: LaunchForm, user: User, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "version": form.version,
        "team": form.version.dataset.project.team,
        "offer": offer_for(form, user),
        "refused": status != 200,
        **_final_rows(form),
    }
    return render(request, "training/launch.html", context, status=status)
