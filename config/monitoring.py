"""What operators watch: queues and the clock's duties, for Prometheus and in the admin."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from celery.schedules import crontab
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.core.cache import cache
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from assistants.prometheus import AssistantReadings
from config.celery import DUTY_KEY, app
from inference.gateway.models_client import read_health
from training.models import ComputeClass, Status, TrainingJob
from web.queues.readings import QueueReading, read_queues
from web.telemetry.registry import REGISTRY, may_read


@dataclass(frozen=True)
class Duty:
    """A periodic task: how often it is due, and how long ago it last began (None: never seen)."""

    name: str
    task: str
    every: timedelta | None  # None: at a time of day.
    since: timedelta | None


def read_duties() -> list[Duty]:
    """Every entry of beat's timetable."""
    entries = app.conf.beat_schedule
    began = cache.get_many([DUTY_KEY.format(entry["task"]) for entry in entries.values()])
    duties = []
    for name, entry in sorted(entries.items()):
        at, schedule = began.get(DUTY_KEY.format(entry["task"])), entry["schedule"]
        every = None if isinstance(schedule, crontab) else timedelta(seconds=schedule)
        since = timedelta(seconds=time.time() - at) if at else None
        duties.append(Duty(name, entry["task"], every, since))
    return duties


class _Readings(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        depth = GaugeMetricFamily("lathe_queue_waiting", "Rows that wait.", labels=["queue"])
        age = GaugeMetricFamily(
            "lathe_queue_oldest_seconds", "How long the oldest has waited.", labels=["queue"]
        )
        for queue in read_queues():
            depth.add_metric([queue.name], queue.waiting)
            age.add_metric([queue.name], queue.age.total_seconds())
        duties = GaugeMetricFamily(
            "lathe_duty_began_seconds", "How long ago a periodic task began.", labels=["duty"]
        )
        for duty in read_duties():
            if duty.since is not None:
                duties.add_metric([duty.name], duty.since.total_seconds())
        models = GaugeMetricFamily(
            "lathe_models_up", "Whether a models process answers.", labels=["address"]
        )
        for url, answers in read_health().items():
            models.add_metric([url], float(answers))
        yield from (depth, age, duties, models, _read_jobs())


def _read_jobs() -> GaugeMetricFamily:
    """By compute class: trainers are scaled by what is queued and running."""
    family = GaugeMetricFamily(
        "lathe_training_jobs", "Jobs that need a trainer.", labels=["compute_class", "status"]
    )
    statuses = (Status.QUEUED, Status.RUNNING)
    jobs = TrainingJob.objects.filter(status__in=statuses).order_by()
    counts = {
        (row["compute_class"], row["status"]): row["jobs"]
        for row in jobs.values("compute_class", "status").annotate(jobs=Count("pk"))
    }
    for code in ComputeClass.objects.values_list("code", flat=True):
        for status in statuses:
            family.add_metric([code, status.value], counts.get((code, status.value), 0))
    return family


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus's text, for whoever sends METRICS_TOKEN as bearer token; without one, nothing."""
    if not may_read(request.headers.get("Authorization", "")):
        raise Http404
    registry = CollectorRegistry()
    registry.register(_Readings())
    registry.register(AssistantReadings())
    text = generate_latest(REGISTRY) + generate_latest(registry)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


@staff_member_required
@require_safe
def queues_page(request: HttpRequest) -> HttpResponse:
    """The same for people: what waits, how long, and which duty is late."""
    queues: list[QueueReading] = read_queues()
    context = admin.site.each_context(request) | {
        "title": "Queues",
        "queues": queues,
        "duties": read_duties(),
    }
    return render(request, "admin/queues.html", context)
