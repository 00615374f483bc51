"""The pages of jobs: lists, one job's live page and the verbs on it."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.access import find_team, require
from accounts.models import Team, User
from projects.models import Project
from training import again, control
from training.job_listing import SORTS, for_pages, keys_in_order, rows_of, sorted_by
from training.job_reading import configuration, history_of, log_of, status_of, verbs_for
from training.models import TrainingJob
from training.series import as_csv, loss_series
from web.live import stream

PAGE_ROWS, RECENT_ROWS = 25, 6


def find_job(viewer: object, job_id: UUID) -> TrainingJob:
    return get_object_or_404(for_pages(TrainingJob.objects.visible_to(viewer)), pk=job_id)


@login_required
@require_GET
def jobs(request: HttpRequest, slug: str) -> HttpResponse:
    """All of a team's jobs, newest first unless sorted otherwise."""
    team = find_team(request, slug)
    sort = request.GET.get("sort", "new")
    found = TrainingJob.objects.filter(team=team)
    page = Paginator(keys_in_order(found, sort), PAGE_ROWS).get_page(request.GET.get("page"))
    shown = sorted_by(for_pages(found.filter(pk__in=list(page))), sort)
    sorts = [(key, words) for key, (words, _) in SORTS.items()]
    context = {"team": team, "page": page, "sort": sort, "sorts": sorts}
    return render(request, "training/jobs.html", {**context, "jobs": rows_of(shown)})


@login_required
@require_GET
def recent(request: HttpRequest, slug: str) -> HttpResponse:
    """A fragment with the team's newest jobs."""
    team = find_team(request, slug)
    return _fragment(request, TrainingJob.objects.filter(team=team), team=team)


@login_required
@require_GET
def project_jobs(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """A fragment with one project's newest jobs."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    return _fragment(request, TrainingJob.objects.filter(project=project), team=project.team)


def _fragment(request: HttpRequest, jobs: QuerySet[TrainingJob], team: Team) -> HttpResponse:
    newest = for_pages(jobs).order_by("-created_at")[:RECENT_ROWS]
    return render(request, "training/_jobs.html", {"jobs": rows_of(newest), "team": team})


@login_required
@require_GET
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """One job, as it is now; its parts refresh themselves while it moves."""
    found = find_job(request.user, job_id)
    context = {
        **status_of(found, person(request)),
        **history_of(found, person(request)),
        **log_of(found),
        "configuration": configuration(found),
    }
    return render(request, "training/job.html", context)


@login_required
@require_GET
def job_status(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found = find_job(request.user, job_id)
    return render(request, "training/_job_status.html", status_of(found, person(request)))


@login_required
@require_GET
def job_events(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found = find_job(request.user, job_id)
    return render(request, "training/_job_history.html", history_of(found, person(request)))


@login_required
@require_GET
def job_log(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found = find_job(request.user, job_id)
    return render(request, "training/_job_log.html", log_of(found))


@login_required
@require_GET
def download_log(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """The end of the log as a text file."""
    found = find_job(request.user, job_id)
    answer = HttpResponse(found.log_tail, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="job-{found.pk}.log"'
    return answer


@login_required
async def job_live(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """A stream that says "update" whenever the job changed."""
    user = await request.auser()
    found = await sync_to_async(find_job)(user, job_id)
    return stream(found.channel)


@login_required
@require_GET
def job_metrics(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """The loss curves, as static/js/chart.js draws them."""
    return JsonResponse({"series": loss_series(find_job(request.user, job_id))})


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
    found, user = find_job(request.user, job_id), person(request)
    require(user, found.team, "write")
    if request.method == "GET":
        context = {"job": found, "team": found.team, "verbs": verbs_for(found, user)}
        return render(request, "training/cancel_job.html", context)
    control.cancel(found, user)
    messages.success(request, "Cancelled. The page below says what was charged.")
    return redirect("training:job", found.pk)


@login_required
@require_POST
def pause_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found, user = find_job(request.user, job_id), person(request)
    require(user, found.team, "write")
    control.pause(found, user)
    return redirect("training:job", found.pk)


@login_required
@require_POST
def resume_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found, user = find_job(request.user, job_id), person(request)
    require(user, found.team, "write")
    control.resume(found, user)
    return redirect("training:job", found.pk)


@login_required
@require_POST
def retry_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    found, user = find_job(request.user, job_id), person(request)
    require(user, found.team, "write")
    new = again.retry(found, user)
    messages.success(request, "Queued again with the same recipe, from the start.")
    return redirect("training:job", new.pk)


@login_required
@require_POST
def restart_job(request: HttpRequest, job_id: UUID, checkpoint_id: int) -> HttpResponse:
    found, user = find_job(request.user, job_id), person(request)
    require(user, found.team, "write")
    checkpoint = get_object_or_404(found.checkpoints, pk=checkpoint_id)
    new = again.restart(found, checkpoint, user)
    messages.success(request, f"Queued. It goes on from step {checkpoint.step:,}.")
    return redirect("training:job", new.pk)


def person(request: HttpRequest) -> User:
    """The signed-in user; login_required stands before every view here."""
    assert isinstance(request.user, User)
    return request.user
