"""The launch page: mapping, preview, base model, options and an estimate before the button."""

from dataclasses import replace
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import User
from accounts.permissions import require_permission
from projects.models import Dataset, DatasetVersion, ImportStatus
from projects.queries import preview
from training.forms.launch import LaunchForm
from training.jobs.launch import TASKS, launch
from training.jobs.launch_preview import (
    find_ready_version,
    initial_request,
    proposed_request,
)
from training.jobs.remedies import remedy_for
from training.models import TrainingJob
from training.queries import chat_preview
from training.queries.lookups import find_model
from training.queries.starts import START_PREFIX, can_train_on, find_starts
from web.requests import AuthenticatedRequest

MAX_DATASETS = 100
TEXT_TASKS = ("text-classification", "text-regression")  # Those that have the method probe.


@login_required
@require_http_methods(["GET", "POST"])
def launch_page(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """GET: the form with an estimate of the current choice. POST: launch, or say what is wrong."""
    version, user = _requested_version(request, dataset_id), request.user
    if request.method == "POST":
        require_permission(user, version.dataset.project.team, "write")
        form = LaunchForm(version, request.POST)
        if form.preview(user).can_launch:
            job = launch(
                dataset_version=version, user=user, request=form.to_launch_request(), viewer=user
            )
            return redirect("training:job", job.pk)
        return _render_page(request, form, user, status=400)
    failed = _job_to_copy(request, version) if "remedy" in request.GET else None
    if failed and (remedy := remedy_for(failed)):
        form = LaunchForm.prefilled(version, remedy.apply_to(initial_request(version, failed)))
        return _render_page(request, form, user, failed=failed, remedy=remedy)
    return _render_page(request, _initial_form(request, version), user)


@login_required
@require_GET
def train_on_page(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """Choose the dataset with which training goes on from a finished model."""
    model = find_model(request.user, model_id)
    datasets = Dataset.objects.visible_to(request.user).filter(
        project__team=model.team, archived_at=None, project__archived_at=None
    )
    ready = datasets.filter(versions__status=ImportStatus.READY).distinct()
    context = {
        "model": model,
        "team": model.team,
        "datasets": ready.select_related("project").order_by("-created_at")[:MAX_DATASETS],
        "can_train_on": can_train_on(model),
    }
    return render(request, "training/train_on.html", context)


@login_required
@require_GET
def estimate_fragment(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """Fits, how long, how much, and the button."""
    version = _requested_version(request, dataset_id)
    form = LaunchForm(version, request.GET)
    user = request.user
    context = {
        "form": form,
        "offer": form.preview(user),
        "presets": form.preset_offers(user),
        "chosen_preset": form.chosen_preset,
        "version": version,
        "is_refresh": True,
    }
    return render(request, "training/_estimate.html", context)


@login_required
@require_GET
def offer_fragment(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """How long the suggested fine-tune takes and what it costs, in a line."""
    version = _requested_version(request, dataset_id)
    form = LaunchForm.prefilled(version, initial_request(version, None))
    offer = form.preview(request.user)
    return render(request, "training/_offer.html", {"offer": offer})


@login_required
@require_GET
def rows_fragment(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    """Five final training rows under the columns chosen."""
    version = _requested_version(request, dataset_id)
    context = _preview_rows(LaunchForm(version, request.GET)) | {"version": version}
    return render(request, "training/_preview.html", context)


def _requested_version(request: AuthenticatedRequest, dataset_id: UUID) -> DatasetVersion:
    sent = request.POST if request.method == "POST" else request.GET
    return find_ready_version(request.user, dataset_id, sent.get("version"))


def _initial_form(request: AuthenticatedRequest, version: DatasetVersion) -> LaunchForm:
    """The choices in the URL (a form sent back without JavaScript), else the first ones."""
    if "compute" in request.GET:
        return LaunchForm(version, request.GET)
    number = request.GET.get("proposal", "")
    if number.isdecimal() and (proposed := proposed_request(version, int(number[:3]))):
        return LaunchForm.prefilled(version, proposed)
    key = f"{START_PREFIX}{request.GET.get('model', '')}"
    starts = find_starts(version.dataset.project.team, key) if "model" in request.GET else {}
    if model := starts.get(key):
        suggested = initial_request(version, None, model.task)
        return LaunchForm.prefilled(
            version, replace(suggested, base_model=model.base_model, initial_model=model)
        )
    if (task := request.GET.get("task")) in TASKS:
        return LaunchForm.prefilled(version, initial_request(version, None, task))
    first = initial_request(version, _job_to_copy(request, version))
    if "probe" in request.GET and first.task in TEXT_TASKS:
        quick = first.hyperparameters | {"method": "probe", "augmentation": "none"}
        first = replace(first, hyperparameters=quick, search=None)
    return LaunchForm.prefilled(version, first)


def _job_to_copy(request: AuthenticatedRequest, version: DatasetVersion) -> TrainingJob | None:
    """The job whose settings to start from, when the URL names one on the same dataset."""
    try:
        job_id = UUID(request.GET.get("again", ""))
    except ValueError:
        return None
    jobs = TrainingJob.objects.visible_to(request.user)
    return jobs.filter(pk=job_id, dataset_version__dataset=version.dataset_id).first()


def _preview_rows(form: LaunchForm) -> dict[str, object]:
    """Five rows as the model would get them, under whatever columns are chosen so far."""
    targets = form.columns_of(targets=True)
    inputs = form.columns_of(targets=False)
    if form.chosen_task != "text-generation":
        return {"rows": preview.load_training_rows(form.version, inputs, targets)}
    if form.data.get("messages_column"):
        chats = chat_preview.preview_chats(form.version, str(form.data["messages_column"]))
    elif targets:
        chats = chat_preview.preview_pairs(form.version, inputs, targets[0])
    else:
        chats = []
    return {"is_chat": True, "chats": chats}


def _render_page(
    request: AuthenticatedRequest, form: LaunchForm, user: User, status: int = 200, **more: object
) -> HttpResponse:
    context = {
        "form": form,
        "version": form.version,
        "team": form.version.dataset.project.team,
        "offer": form.preview(user),
        "presets": form.preset_offers(user),
        "chosen_preset": form.chosen_preset,
        "refused": status != 200,
        **_preview_rows(form),
        **more,
    }
    return render(request, "training/launch.html", context, status=status)
