"""The pages of jobs: lists, one job's live page and the verbs on it."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.permissions import find_team, require_permission
from projects.models import Project
from training.jobs import actions
from training.models import Status, TrainingJob
from training.queries.job_detail import (
    allowed_actions,
    configuration_rows,
    history_context,
    load_run_facts,
    log_context,
    status_context,
)
from training.queries.job_list import (
    SORTS,
    filter_jobs,
    job_rows,
    sort_jobs,
    sorted_job_ids,
    with_related,
)
from training.queries.job_page.charts import CHARTS, chart_of, has_curves, validation_metric_of
from training.queries.job_page.code import as_curl, as_python
from training.queries.job_page.comparison import find_jobs, overlay, parameter_rows
from training.queries.lookups import find_job
from training.queries.metric_series import as_csv, latest_values
from training.queries.models import validation_words
from web.browser.details import tags_in
from web.browser.trash import TRASH_DAYS
from web.streams.event_stream import event_stream_response

PAGE_SIZE, MAX_RECENT_JOBS = 25, 6
ALL_CHARTS = "all"
JOB_TABS = [
    ("charts", "Charts"),
    ("events", "Events"),
    ("checkpoints", "Checkpoints"),
    ("settings", "Settings"),
    ("log", "Log"),
    ("cost", "Cost & attempts"),
]


HISTORY_TABS = ("events", "checkpoints", "cost")


@login_required
@require_GET
def jobs(request: HttpRequest, slug: str) -> HttpResponse:
    """All of a team's jobs, newest first unless sorted otherwise."""
    team = find_team(request, slug)
    sort = request.GET.get("sort", "new")
    text, status = request.GET.get("q", "").strip(), request.GET.get("status", "")
    tag = request.GET.get("tag", "")
    every = TrainingJob.objects.not_in_trash().filter(team=team)
    found = filter_jobs(every, text, status, tag)
    page = Paginator(sorted_job_ids(found, sort), PAGE_SIZE).get_page(request.GET.get("page"))
    shown = sort_jobs(with_related(found.filter(pk__in=list(page))), sort)
    sorts = [(key, words) for key, (words, _) in SORTS.items()]
    context = {
        "team": team,
        "page": page,
        "sort": sort,
        "sorts": sorts,
        "text": text,
        "status": status,
        "statuses": Status.choices,
        "tag": tag,
        "tags": tags_in(every),
    }
    return render(request, "training/jobs.html", {**context, "jobs": job_rows(shown)})


@login_required
@require_GET
def project_jobs(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """A fragment with one project's newest jobs."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    jobs = with_related(TrainingJob.objects.filter(project=project, archived_at=None))
    newest = job_rows(jobs.order_by("-created_at")[:MAX_RECENT_JOBS])
    return render(request, "training/_jobs.html", {"jobs": newest, "team": project.team})


@login_required
@require_GET
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """One job, as it is now; its parts refresh themselves while it moves."""
    found, user = find_job(request.user, job_id), signed_in_user(request)
    wanted = request.GET.get("tab", "")
    tab = wanted if wanted in dict(JOB_TABS) else "charts"
    status = status_context(found, user)
    context = {
        **status,
        "tabs": JOB_TABS,
        "tab": tab,
        "is_over": found.is_finished,  # Before the page was opened: nothing of it moves.
        "trash_days": TRASH_DAYS,
    }
    if tab == "log":
        context |= log_context(found)
    elif tab in HISTORY_TABS:
        context |= history_context(found, user)
    else:
        metric = validation_metric_of(found, cast("dict[str, float]", status["values"]))
        context |= {
            "configuration": configuration_rows(found, load_run_facts([found])[found.pk]),
            "measured_title": f"Validation {validation_words(metric)}",
            "has_curves": has_curves(found),
            "curl": as_curl(found),
            "python": as_python(found),
        }
    return render(request, "training/job.html", context)


@login_required
@require_GET
def job_status(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found = find_job(request.user, job_id)
    return render(
        request, "training/_job_status.html", status_context(found, signed_in_user(request))
    )


@login_required
@require_GET
def job_events(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The events, checkpoints or costs, whichever tab is open."""
    found = find_job(request.user, job_id)
    tab = request.GET.get("tab", "events")
    if tab not in HISTORY_TABS:
        raise Http404
    context = history_context(found, signed_in_user(request))
    return render(request, f"training/_job_{tab}.html", context)


@login_required
@require_GET
def job_log(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found = find_job(request.user, job_id)
    return render(request, "training/_job_log.html", log_context(found))


@login_required
@require_GET
def download_log(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The end of the log as a text file."""
    found = find_job(request.user, job_id)
    answer = HttpResponse(found.log_tail, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="job-{found.pk}.log"'
    return answer


@login_required
def job_live(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """A stream that says "update" whenever the job changed."""
    return event_stream_response(request, request.user, find_job(request.user, job_id).channel)


@login_required
@require_GET
def job_metrics(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """The curves of the chart that `?chart=` names, as static/js/app/chart.js draws them.

    `?chart=all` answers every chart under its name: a page with five of them asks once.
    """
    chart, found = request.GET.get("chart", "loss"), find_job(request.user, job_id)
    if chart == ALL_CHARTS:
        return JsonResponse({name: chart_of(found, name) for name in CHARTS})
    if chart not in CHARTS:
        raise Http404
    return JsonResponse(chart_of(found, chart))


@login_required
@require_GET
def compare_jobs(request: HttpRequest, slug: str) -> HttpResponse:
    """Curves of several jobs in one picture, and where their parameters differ."""
    team = find_team(request, slug)
    chosen = find_jobs(request.user, team, request.GET.getlist("job"))
    ids = urlencode([("job", str(job.pk)) for job in chosen])
    metric = validation_metric_of(chosen[0], latest_values(chosen[0])) if chosen else ""
    context = {
        "team": team,
        "jobs": chosen,
        "rows": job_rows(chosen),
        "ids": ids,
        "omitted": max(0, len(set(request.GET.getlist("job"))) - len(chosen)),
        "is_mixed": len({job.task for job in chosen}) > 1,
        "parameters": parameter_rows(chosen),
        "metric": metric,
        "measured_title": f"Validation {validation_words(metric)}",
    }
    return render(request, "training/compare_jobs.html", context)


@login_required
@require_GET
def overlay_json(request: HttpRequest, slug: str) -> JsonResponse:
    """The curves of `?metric=` of every `?job=`, as the chart draws them."""
    team = find_team(request, slug)
    jobs = find_jobs(request.user, team, request.GET.getlist("job"))
    metric = request.GET.get("metric", "train_loss")
    return JsonResponse({"series": overlay(jobs, metric), "lines": []})


@login_required
@require_GET
def job_metrics_csv(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """All that was measured, as a file."""
    found = find_job(request.user, job_id)
    answer = HttpResponse(as_csv(found), content_type="text/csv")
    answer["Content-Disposition"] = f'attachment; filename="measurements-{found.pk}.csv"'
    return answer


@login_required
@require_http_methods(["GET", "POST"])
def cancel_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """GET asks for confirmation (browsers without dialogs); POST cancels."""
    found, user = find_job(request.user, job_id), signed_in_user(request)
    require_permission(user, found.team, "write")
    if request.method == "GET":
        context = {"job": found, "team": found.team, "verbs": allowed_actions(found, user)}
        return render(request, "training/cancel_job.html", context)
    actions.cancel(found, user)
    messages.success(request, "Cancelled. The page below says what was charged.")
    return redirect("training:job", found.pk)


@login_required
@require_POST
def pause_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found, user = find_job(request.user, job_id), signed_in_user(request)
    require_permission(user, found.team, "write")
    actions.pause(found, user)
    return redirect("training:job", found.pk)


@login_required
@require_POST
def resume_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found, user = find_job(request.user, job_id), signed_in_user(request)
    require_permission(user, found.team, "write")
    actions.resume(found, user)
    return redirect("training:job", found.pk)


@login_required
@require_POST
def retry_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found, user = find_job(request.user, job_id), signed_in_user(request)
    require_permission(user, found.team, "write")
    new = actions.retry(found, user)
    messages.success(request, "Queued again with the same recipe, from the start.")
    return redirect("training:job", new.pk)


@login_required
@require_POST
def restart_job(request: HttpRequest, job_id: UUID, checkpoint_id: int) -> HttpResponse:
    found, user = find_job(request.user, job_id), signed_in_user(request)
    require_permission(user, found.team, "write")
    checkpoint = get_object_or_404(found.checkpoints, pk=checkpoint_id)
    new = actions.restart(found, checkpoint, user)
    messages.success(request, f"Queued. It goes on from step {checkpoint.step:,}.")
    return redirect("training:job", new.pk)


def signed_in_user(request: HttpRequest) -> User:
    """The signed-in user; login_required stands before every view here."""
    assert isinstance(request.user, User)
    return request.user
