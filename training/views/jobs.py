"""The pages of jobs: lists, one job's live page and the verbs on it."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import find_team
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
from training.queries.job_page.comparison import find_jobs, overlay, parameter_rows, parse_job_ids
from training.queries.job_page.data_proof import data_proof
from training.queries.lookups import find_job, find_job_to_change
from training.queries.metric_series import as_csv, latest_values
from training.queries.models import validation_words
from web.browser.details import tags_in
from web.requests import AuthenticatedRequest
from web.streams.event_stream import event_stream_response

PAGE_SIZE, MAX_RECENT_JOBS = 25, 6
ALL_CHARTS = "all"
JOB_TABS = [
    ("charts", "Charts"),
    ("events", "Events"),
    ("checkpoints", "Checkpoints"),
    ("data", "Data proof"),
    ("settings", "Settings"),
    ("log", "Log"),
    ("cost", "Cost & attempts"),
]
HISTORY_TABS = ("events", "checkpoints", "cost")
DATA_TAB = "data"


@login_required
@require_GET
def jobs(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """All of a team's jobs, newest first unless sorted otherwise."""
    team = find_team(request, slug)
    sort = request.GET.get("sort", "new")
    text, status = request.GET.get("q", "").strip(), request.GET.get("status", "")
    tag = request.GET.get("tag", "")
    every = TrainingJob.objects.not_in_trash().filter(team=team)
    matching = filter_jobs(every, text, status, tag)
    page = Paginator(sorted_job_ids(matching, sort), PAGE_SIZE).get_page(request.GET.get("page"))
    shown = sort_jobs(with_related(matching.filter(pk__in=list(page))), sort)
    sorts = [(key, words) for key, (words, _) in SORTS.items()]
    ticked = parse_job_ids(request.GET.getlist("job"))
    elsewhere = every.filter(pk__in=ticked).exclude(pk__in=list(page))
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
        "ticked": ticked,
        "ticked_elsewhere": list(elsewhere.only("name")) if ticked else [],
    }
    return render(request, "training/jobs.html", {**context, "jobs": job_rows(shown)})


@login_required
@require_GET
def project_jobs(request: AuthenticatedRequest, project_id: UUID) -> HttpResponse:
    """A fragment with one project's newest jobs."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    jobs = with_related(TrainingJob.objects.filter(project=project, archived_at=None))
    newest = job_rows(jobs.order_by("-created_at")[:MAX_RECENT_JOBS])
    return render(request, "training/_jobs.html", {"jobs": newest, "team": project.team})


@login_required
@require_GET
def job_page(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """One job, as it is now; its parts refresh themselves while it moves."""
    job, user = find_job(request.user, job_id), request.user
    tab = request.GET.get("tab", "")
    tab = tab if tab in dict(JOB_TABS) else "charts"
    status = status_context(job, user)
    context = {
        **status,
        "tabs": JOB_TABS,
        "tab": tab,
        "is_over": job.is_finished,  # Before the page was opened: nothing of it moves.
        "curl": as_curl(job),
        "python": as_python(job),
    }
    if tab == "log":
        context |= log_context(job)
    elif tab == DATA_TAB:
        context |= {"proof": data_proof(job)}
    elif tab in HISTORY_TABS:
        context |= history_context(job, user)
    else:
        metric = validation_metric_of(job, cast("dict[str, float]", status["values"]))
        context |= {
            "configuration": configuration_rows(job, load_run_facts([job])[job.pk]),
            "measured_title": f"Validation {validation_words(metric)}",
            "has_curves": has_curves(job),
        }
    return render(request, "training/job.html", context)


@login_required
@require_GET
def job_status(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = find_job(request.user, job_id)
    return render(request, "training/_job_status.html", status_context(job, request.user))


@login_required
@require_GET
def job_events(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """The events, checkpoints, data or costs, whichever tab is open."""
    job = find_job(request.user, job_id)
    tab = request.GET.get("tab", "events")
    if tab == DATA_TAB:
        proof = {"job": job, "version": job.dataset_version, "proof": data_proof(job)}
        return render(request, "training/_job_data.html", proof)
    if tab not in HISTORY_TABS:
        raise Http404
    context = history_context(job, request.user)
    return render(request, f"training/_job_{tab}.html", context)


@login_required
@require_GET
def job_log(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = find_job(request.user, job_id)
    return render(request, "training/_job_log.html", log_context(job))


@login_required
@require_GET
def download_log(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """The end of the log as a text file."""
    job = find_job(request.user, job_id)
    answer = HttpResponse(job.log_tail, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="job-{job.pk}.log"'
    return answer


@login_required
def job_live(request: AuthenticatedRequest, job_id: UUID) -> HttpResponseBase:
    """A stream that says "update" whenever the job changed."""
    return event_stream_response(request, request.user, find_job(request.user, job_id).channel)


@login_required
@require_GET
def job_metrics(request: AuthenticatedRequest, job_id: UUID) -> JsonResponse:
    """The curves of the chart that `?chart=` names, as static/js/app/chart.js draws them.

    `?chart=all` answers every chart under its name: a page with five of them asks once.
    """
    chart, job = request.GET.get("chart", "loss"), find_job(request.user, job_id)
    if chart == ALL_CHARTS:
        return JsonResponse({name: chart_of(job, name) for name in CHARTS})
    if chart not in CHARTS:
        raise Http404
    return JsonResponse(chart_of(job, chart))


@login_required
@require_GET
def compare_jobs(request: AuthenticatedRequest, slug: str) -> HttpResponse:
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
def overlay_json(request: AuthenticatedRequest, slug: str) -> JsonResponse:
    """The curves of `?metric=` of every `?job=`, as the chart draws them."""
    team = find_team(request, slug)
    jobs = find_jobs(request.user, team, request.GET.getlist("job"))
    metric = request.GET.get("metric", "train_loss")
    return JsonResponse({"series": overlay(jobs, metric), "lines": []})


@login_required
@require_GET
def job_metrics_csv(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """All that was measured, as a file."""
    job = find_job(request.user, job_id)
    answer = HttpResponse(as_csv(job), content_type="text/csv")
    answer["Content-Disposition"] = f'attachment; filename="measurements-{job.pk}.csv"'
    return answer


@login_required
@require_http_methods(["GET", "POST"])
def cancel_job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """GET asks for confirmation (browsers without dialogs); POST cancels."""
    job, user = find_job_to_change(request.user, job_id), request.user
    if request.method == "GET":
        context = {"job": job, "team": job.team, "verbs": allowed_actions(job, user)}
        return render(request, "training/cancel_job.html", context)
    actions.cancel(job, user)
    messages.success(request, "Cancelled. The page below says what was charged.")
    return redirect("training:job", job.pk)


@login_required
@require_POST
def move_job(request: AuthenticatedRequest, job_id: UUID, action: str) -> HttpResponse:
    """Pause or resume it."""
    job, user = find_job_to_change(request.user, job_id), request.user
    {"pause": actions.pause, "resume": actions.resume}[action](job, user)
    return redirect("training:job", job.pk)


@login_required
@require_POST
def retry_job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job, user = find_job_to_change(request.user, job_id), request.user
    new = actions.retry(job, user)
    messages.success(request, "Queued again with the same recipe, from the start.")
    return redirect("training:job", new.pk)


@login_required
@require_POST
def restart_job(request: AuthenticatedRequest, job_id: UUID, checkpoint_id: int) -> HttpResponse:
    job, user = find_job_to_change(request.user, job_id), request.user
    checkpoint = get_object_or_404(job.checkpoints, pk=checkpoint_id)
    new = actions.restart(job, checkpoint, user)
    messages.success(request, f"Queued. It goes on from step {checkpoint.step:,}.")
    return redirect("training:job", new.pk)
