"""Pages of deployments: the list, one deployment with its playground, and the deeds on it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can, find_team, require
from accounts.models import User
from accounts.signed_in import SignedInRequest
from inference import deploy as deeds
from inference import request_log
from inference.asking import AskForm, ask_form
from inference.forms import MoveForm, NameForm
from inference.models import Deployment
from inference.playground import Answer, ask
from inference.snippets import snippets_for
from projects.models import Project
from training.models import TrainedModel

PAGE_ROWS = 25


def find_deployment(viewer: User, deployment_id: UUID) -> Deployment:
    found = Deployment.objects.visible_to(viewer).select_related("team", "project", "model")
    return get_object_or_404(found, pk=deployment_id)


def find_model(viewer: User, model_id: UUID) -> TrainedModel:
    found = TrainedModel.objects.visible_to(viewer).select_related("team", "project")
    return get_object_or_404(found, pk=model_id)


@login_required
@require_safe
def deployments(request: SignedInRequest, slug: str) -> HttpResponse:
    """What a team serves, and what it served."""
    team = find_team(request, slug)
    rows = Deployment.objects.filter(team=team).select_related("model", "project")
    page = Paginator(rows.order_by("retired_at", "-created_at"), PAGE_ROWS)
    context = {"team": team, "page": page.get_page(request.GET.get("page"))}
    return render(request, "inference/deployments.html", context)


@login_required
@require_safe
def deployment(request: SignedInRequest, deployment_id: UUID) -> HttpResponse:
    found = find_deployment(request.user, deployment_id)
    return _deployment_page(request, found, ask_form(found))


@login_required
@require_POST
def playground(request: SignedInRequest, deployment_id: UUID) -> HttpResponse:
    """Ask about one row; the answer as a fragment, or the whole page without JavaScript."""
    found = find_deployment(request.user, deployment_id)
    require(request.user, found.team, "write")  # Asking spends the team's money.
    form = ask_form(found, request.POST, request.FILES)
    answer = ask(found, request.user, form.row) if form.is_valid() else None
    if request.htmx:
        context = {"answer": answer, "form": form, "deployment": found}
        return render(request, "inference/_answer.html", context)
    return _deployment_page(request, found, form, answer)


@login_required
@require_safe
def activity(request: SignedInRequest, deployment_id: UUID) -> HttpResponse:
    """Today's usage and the latest requests, as a fragment."""
    found = find_deployment(request.user, deployment_id)
    return render(request, "inference/_activity.html", _activity_of(found))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: SignedInRequest, model_id: UUID) -> HttpResponse:
    """The form (a fragment, or a page of its own), and the deed."""
    model = find_model(request.user, model_id)
    form = NameForm(request.POST or None, initial={"name": deeds.suggested_name(model)})
    if request.method == "POST":
        require(request.user, model.team, "write")
        if form.is_valid():
            made = deeds.deploy(model, form.cleaned_data["name"], request.user)
            messages.success(request, f"{made.name} is live.")
            return _go_to(request, made)
    serving = Deployment.objects.serving().filter(team=model.team, model__task=model.task)
    context = {
        "model": model,
        "team": model.team,
        "form": form,
        "serving": serving.exclude(model=model),
        "may_deploy": can(request.user, model.team, "write"),
    }
    template = "inference/_deploy.html" if request.htmx else "inference/deploy.html"
    return render(request, template, context)


@login_required
@require_POST
def move(request: SignedInRequest, deployment_id: UUID) -> HttpResponse:
    """Let the name answer with another model."""
    found = find_deployment(request.user, deployment_id)
    require(request.user, found.team, "write")
    form = MoveForm(found, request.POST)
    if not form.is_valid():
        return _deployment_page(request, found, ask_form(found), move_form=form)
    deeds.move(found, form.cleaned_data["model"], request.user)
    messages.success(request, f"{found.name} now answers with {found.model}.")
    return _go_to(request, found)


@login_required
@require_POST
def retire(request: SignedInRequest, deployment_id: UUID) -> HttpResponse:
    """Stop serving."""
    found = find_deployment(request.user, deployment_id)
    require(request.user, found.team, "write")
    deeds.retire(found, request.user)
    messages.success(request, f"{found.name} is no longer served.")
    return redirect("inference:deployments", found.team.slug)


@login_required
@require_safe
def model_deployments(request: SignedInRequest, model_id: UUID) -> HttpResponse:
    """Where a model is served, for the model's page."""
    model = find_model(request.user, model_id)
    rows = Deployment.objects.serving().filter(model=model)
    return render(request, "inference/_deployments.html", {"rows": rows, "model": model})


@login_required
@require_safe
def project_deployments(request: SignedInRequest, project_id: UUID) -> HttpResponse:
    """What a project serves, for the project's page."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    rows = Deployment.objects.visible_to(request.user).serving().filter(project=project)
    rows = rows.select_related("model")
    return render(request, "inference/_deployments.html", {"rows": rows})


def _deployment_page(
    request: SignedInRequest,
    found: Deployment,
    form: AskForm,
    answer: Answer | None = None,
    **more: object,
) -> HttpResponse:
    context = {
        "deployment": found,
        "team": found.team,
        "form": form,
        "answer": answer,
        "move_form": MoveForm(found),
        "snippets": snippets_for(found),
        "may_change": can(request.user, found.team, "write"),
        **_activity_of(found),
        **more,
    }
    return render(request, "inference/deployment.html", context)


def _activity_of(found: Deployment) -> dict[str, object]:
    return {
        "deployment": found,
        "today": request_log.today(found),
        "requests": request_log.latest(found),
    }


def _go_to(request: SignedInRequest, found: Deployment) -> HttpResponse:
    """A full page load also when htmx sent the form: the target is another page."""
    response = redirect("inference:deployment", found.pk)
    if request.htmx:
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response
