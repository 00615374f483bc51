"""Pages of deployments: the list, one deployment with its playground, and its actions."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.permissions import find_team, has_permission, require_permission
from inference import deployments
from inference.deployments import find_deployment, find_deployment_to_change
from inference.feedback import corrected_rows, learn_corrections
from inference.forms.deployments import MoveForm, NameForm, TrialForm
from inference.forms.playground import ChatForm, PlaygroundForm, playground_form
from inference.forms.tables import TableForm
from inference.models import Deployment, RequestLog
from inference.playground import Prediction, predict, pretrained_at_hand, stream_chat
from inference.queries.answering_place import may_be_upstream
from inference.queries.rollout import load_rollout
from inference.queries.tables import tables_context
from inference.queries.traffic import CHARTS, requests_chart, usage_today
from inference.rollout import trials
from inference.snippets import snippets_for
from inference.table_predictions.running import read_columns
from projects.models import Project
from training.queries.lookups import find_model, job_that_trained
from training.queries.starts import can_train_on
from web.browser.confirmation import require_typed_name
from web.browser.parts import uses_of
from web.browser.refusals import refusals_on, status_of
from web.browser.trash import TRASH_DAYS, restorable_since
from web.language.sentences import translated
from web.requests import AuthenticatedRequest
from web.streams.detached import DetachedResponse

PAGE_SIZE, MAX_RECENT_REQUESTS = 25, 20


@login_required
@require_safe
def deployment_list(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """What a team serves, and what it served."""
    team = find_team(request, slug)
    rows = Deployment.objects.filter(team=team).select_related("model", "project")
    page = Paginator(rows.order_by("retired_at", "-created_at"), PAGE_SIZE)
    context = {"team": team, "page": page.get_page(request.GET.get("page"))}
    return render(request, "inference/deployments.html", context)


@login_required
@require_safe
def deployment_detail(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    deployment = find_deployment(request.user, deployment_id)
    return _render_deployment(request, deployment, playground_form(deployment))


@login_required
@require_POST
def playground(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Predict one row; the answer as a fragment, or the whole page without JavaScript."""
    # A prediction costs money.
    deployment = find_deployment_to_change(request.user, deployment_id)
    form = playground_form(deployment, request.POST, request.FILES)
    answer = predict(deployment, request.user, form.row) if form.is_valid() else None
    if request.htmx:
        context = {"answer": answer, "form": form, "deployment": deployment}
        return render(request, "inference/_answer.html", context)
    return _render_deployment(request, deployment, form, answer)


@login_required
@require_POST
def chat(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponseBase:
    """Stream the next answer of a chat: the deployed model's, or its base model's."""
    # An answer costs money.
    deployment = find_deployment_to_change(request.user, deployment_id)
    form = ChatForm(request.POST)
    if not form.is_valid():
        sentence = translated(next(iter(form.errors.values()))[0])
        return JsonResponse({"error": {"message": sentence}}, status=400)
    messages, by_base = form.cleaned_data["messages"], form.cleaned_data["by_base"]
    events = stream_chat(deployment, request.user.pk, messages, by_base=by_base)
    return DetachedResponse(events, content_type="text/event-stream")


@login_required
@require_safe
def activity(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Today's usage and the latest requests, as a fragment."""
    deployment = find_deployment(request.user, deployment_id)
    context = {"is_fragment": True, **_activity_context(deployment)}
    return render(request, "inference/_activity.html", context)


@login_required
@require_safe
def traffic_json(request: AuthenticatedRequest, deployment_id: UUID) -> JsonResponse:
    """The chart `?show=`, one of CHARTS, of the last day by hour, or `?by=day` of 30 days."""
    deployment = find_deployment(request.user, deployment_id)
    chart = CHARTS.get(request.GET.get("show", ""), requests_chart)
    series = chart(deployment, by_day=request.GET.get("by") == "day")
    return JsonResponse({"series": series, "lines": []})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """The form, as a fragment or a page of its own, and its submission."""
    model = find_model(request.user, model_id)
    form = NameForm(request.POST or None, initial={"name": deployments.suggest_name(model)})
    if request.method == "POST":
        require_permission(request.user, model.team, "write")
        if form.is_valid():
            with refusals_on(form):
                deployment = deployments.deploy(model, form.cleaned_data["name"], request.user)
                messages.success(request, f"{deployment.name} is live.")
                return _redirect_to_deployment(request, deployment)
    serving = Deployment.objects.serving().filter(team=model.team, model__task=model.task)
    context = {
        "model": model,
        "team": model.team,
        "form": form,
        "serving": serving.exclude(model=model),
        "may_deploy": has_permission(request.user, model.team, "write"),
    }
    template = "inference/_deploy.html" if request.htmx else "inference/deploy.html"
    return render(request, template, context, status=status_of(form, invalid=200))


@login_required
@require_POST
def move(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Let the name answer with another model."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    form = MoveForm(deployment, request.POST)
    if form.is_valid():
        with refusals_on(form):
            deployments.move(deployment, form.cleaned_data["model"], request.user)
            messages.success(request, f"{deployment.name} now answers with {deployment.model}.")
            return _redirect_to_deployment(request, deployment)
    return _render_deployment(
        request, deployment, playground_form(deployment), move_form=form, refused=form
    )


@login_required
@require_POST
def learn_from_feedback(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Put what callers corrected into the dataset, as a new version."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    version = learn_corrections(deployment, request.user)
    messages.success(
        request,
        "The corrected rows come last in the new version. Once it is read, fine-tune as before.",
    )
    job = job_that_trained(deployment.model)
    query = {"again": job.pk} if job else None
    return redirect(reverse("projects:dataset", args=[version.dataset_id], query=query))


@login_required
@require_POST
def try_model(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Put a model on trial under the name, as canary or shadow."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    form = TrialForm(deployment, request.POST)
    if form.is_valid():
        with refusals_on(form):
            model, percent = form.cleaned_data["model"], form.cleaned_data["percent"]
            if form.cleaned_data["kind"] == "canary":
                trials.start_canary(deployment, model, percent, request.user)
                messages.success(request, f"{model} answers {percent}% of requests now.")
            else:
                trials.start_shadow(deployment, model, request.user)
                messages.success(request, f"{model} is asked beside {deployment.model} now.")
            return _redirect_to_deployment(request, deployment)
    return _render_deployment(
        request, deployment, playground_form(deployment), trial_form=form, refused=form
    )


@login_required
@require_POST
def end_trial(request: AuthenticatedRequest, deployment_id: UUID, kind: str) -> HttpResponse:
    """End the canary or the shadow."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    end = trials.end_canary if kind == "canary" else trials.end_shadow
    end(deployment, request.user)
    messages.success(request, f"{deployment.model} answers alone.")
    return redirect("inference:deployment", deployment.pk)


@login_required
@require_POST
def roll_back(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Answer with the former model again."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    trials.roll_back(deployment, request.user)
    messages.success(request, f"{deployment.name} answers with {deployment.model} again.")
    return redirect("inference:deployment", deployment.pk)


@login_required
@require_POST
def retire(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Stop serving."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    require_typed_name(request, deployment.name)
    deployments.retire(deployment, request.user)
    messages.success(
        request, f"{deployment.name} is down. It can be restored for {TRASH_DAYS} days."
    )
    return redirect("inference:deployment", deployment.pk)


@login_required
@require_POST
def restore(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Serve again what was taken down."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    deployments.restore(deployment, request.user)
    messages.success(request, f"{deployment.name} is live again.")
    return redirect("inference:deployment", deployment.pk)


@login_required
@require_safe
def project_deployments(request: AuthenticatedRequest, project_id: UUID) -> HttpResponse:
    """What a project serves, for the project's page."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    rows = Deployment.objects.visible_to(request.user).serving().filter(project=project)
    rows = rows.select_related("model")
    return render(request, "inference/_deployments.html", {"rows": rows})


def _render_deployment(
    request: AuthenticatedRequest,
    deployment: Deployment,
    form: PlaygroundForm,
    answer: Prediction | None = None,
    refused: forms.Form | None = None,
    **more: object,
) -> HttpResponse:
    context = {
        "deployment": deployment,
        "team": deployment.team,
        "form": form,
        "answer": answer,
        "take_down_title": f"Take “{deployment.name}” down?",
        "trash_days": TRASH_DAYS,
        "uses": uses_of("endpoint", deployment),
        "may_be_upstream": may_be_upstream(deployment),
        "may_restore": (deployment.retired_at or now()) >= restorable_since(),
        "move_form": MoveForm(deployment),
        "trial_form": TrialForm(deployment),
        "rollout": load_rollout(deployment),
        "base": pretrained_at_hand(deployment.model.base_model),
        "snippets": snippets_for(deployment),
        "may_change": has_permission(request.user, deployment.team, "write"),
        "can_train_on": can_train_on(deployment.model),
        "table_columns": read_columns(deployment),
        "table_form": TableForm(deployment),
        **tables_context(deployment),
        "by_day": request.GET.get("by") == "day",
        **_activity_context(deployment),
        **more,
    }
    status = status_of(refused, invalid=200) if refused else 200
    return render(request, "inference/deployment.html", context, status=status)


def _activity_context(deployment: Deployment) -> dict[str, object]:
    return {
        "deployment": deployment,
        "today": usage_today(deployment),
        "requests": list(
            RequestLog.objects.filter(deployment=deployment).order_by("-at")[:MAX_RECENT_REQUESTS]
        ),
        "corrections": len(corrected_rows(deployment)),
    }


def _redirect_to_deployment(request: AuthenticatedRequest, deployment: Deployment) -> HttpResponse:
    """A full page load also when htmx sent the form: the target is another page."""
    response = redirect("inference:deployment", deployment.pk)
    if request.htmx:
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response
