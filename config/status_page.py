"""The page /status/: which parts of this installation work, for everybody."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.monitoring import read_duties
from inference.gateway.models_client import read_health
from training.models import Status, TrainingJob, Worker

CACHE_KEY, CACHE_SECONDS = "status-page", 10  # However many look, each part is asked this often.
LATE_SECONDS = 60


@require_safe
@never_cache
def status_page(request: HttpRequest) -> HttpResponse:
    """Always 200: this page works. Programs watch /readyz and the metrics."""
    status = cache.get(CACHE_KEY)
    if status is None:
        status = {"checked_at": now(), "working": _read_parts()}
        cache.set(CACHE_KEY, status, CACHE_SECONDS)
    context = {**status, "all_work": all(status["working"].values())}
    return render(request, "web/status.html", context)


def _read_parts() -> dict[str, bool]:
    """Whether each part works. Whoever reads the page has been answered by web and database."""
    ages = [duty.since.total_seconds() for duty in read_duties() if duty.since is not None]
    # Training machines may be switched off while nothing waits for them.
    waiting = TrainingJob.objects.filter(status=Status.QUEUED, compute_class__is_offered=True)
    return {
        "background": bool(ages) and min(ages) < LATE_SECONDS,
        "training": Worker.objects.accepting_jobs().exists() or not waiting.exists(),
        "models": any(read_health().values()),
    }
