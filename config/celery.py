"""Celery: the application, its timetable, and request ids in the log lines of tasks.

A message is only a hint that rows are waiting; beat sends every hint again.
"""

import os
import time
from typing import Any

from celery import Celery, Task
from celery.schedules import crontab
from celery.signals import before_task_publish, task_postrun, task_prerun

from config.queues import DEFAULT_QUEUE, TASK_ROUTES
from web.log_context import request_id

DUTY_KEY, DUTY_KEPT_SECONDS = "duty-began:{}", 3 * 24 * 3600

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("lathe", task_cls="celery.contrib.django.task:DjangoTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_default_queue=DEFAULT_QUEUE,
    task_ignore_result=True,
    # For their signals to be heard.
    imports=("config.observability.process_server", "config.observability.task_metrics"),
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    task_routes=TASK_ROUTES | {"training.tasks.work": {"queue": "compute.cpu"}},
    beat_schedule={
        "plans": {
            "task": "inference.tasks.carry_plans",
            "schedule": 2.0,
            "options": {"expires": 10},
        },
        "fine-tunes": {
            "task": "inference.tasks.launch_fine_tunes",
            "schedule": 2.0,
            "options": {"expires": 10},
        },
        "batches": {
            "task": "inference.tasks.work_on_batches",
            "schedule": 5.0,
            "options": {"expires": 5},
        },
        "expired-files": {"task": "inference.tasks.delete_expired_files", "schedule": 3600.0},
        "assistant-versions": {
            "task": "assistants.tasks.build_versions",
            "schedule": 15.0,
            "options": {"expires": 15},
        },
        "scheduled-versions": {"task": "assistants.tasks.build_scheduled", "schedule": 3600.0},
        "conversations": {
            "task": "assistants.tasks.watch_conversations",
            "schedule": 5.0,
            "options": {"expires": 10},
        },
        "answers": {
            "task": "assistants.tasks.count_answers",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "old-conversations": {
            "task": "assistants.tasks.delete_expired_conversations",
            "schedule": 3600.0,
        },
        "replies": {
            "task": "assistants.tasks.deliver_replies",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "mailboxes": {
            "task": "assistants.tasks.read_mailboxes",
            "schedule": 30.0,
            "options": {"expires": 30},
        },
        "old-speech": {"task": "assistants.tasks.delete_expired_speech", "schedule": 3600.0},
        "request-log": {"task": "inference.tasks.trim_request_log", "schedule": 3600.0},
        "drift": {
            "task": "inference.tasks.watch_drift",
            "schedule": crontab(hour="4", minute="20"),
        },
        "watchdog": {"task": "training.tasks.watch", "schedule": 5.0, "options": {"expires": 10}},
        "tidy": {"task": "training.tasks.tidy", "schedule": 3600.0},
        "orphans": {
            "task": "training.tasks.sweep_orphans",
            "schedule": crontab(hour="3", minute="40"),
        },
        "holds": {
            "task": "training.tasks.pause_held",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "dispatch": {
            "task": "training.tasks.dispatch",
            "schedule": 5.0,
            "options": {"expires": 10},
        },
        "notices": {
            "task": "accounts.tasks.fan_out",
            "schedule": 5.0,
            "options": {"expires": 10},
        },
        "notice-emails": {
            "task": "accounts.tasks.send_emails",
            "schedule": 15.0,
            "options": {"expires": 15},
        },
        "webhooks": {
            "task": "accounts.tasks.deliver_webhooks",
            "schedule": 5.0,
            "options": {"expires": 10},
        },
        "old-keys": {"task": "accounts.tasks.trim_idempotency_keys", "schedule": 3600.0},
        "old-notices": {"task": "accounts.tasks.trim_notices", "schedule": 3600.0},
        "included-credit": {"task": "billing.tasks.grant_included_credit", "schedule": 900.0},
        "credit-expiry": {
            "task": "billing.tasks.expire_credit",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "unusual-spending": {
            "task": "billing.tasks.watch_spending",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "forecasts": {"task": "billing.tasks.warn_of_overspending", "schedule": 1800.0},
        "invoices": {"task": "billing.tasks.issue_invoices", "schedule": 3600.0},
        "credit-warnings": {"task": "billing.tasks.warn_of_expiry", "schedule": 3600.0},
        "usage-report": {
            "task": "billing.tasks.report_usage",
            "schedule": 300.0,
            "options": {"expires": 300},
        },
        "usage-delivery": {
            "task": "billing.tasks.deliver_usage",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "reconciliation": {
            "task": "billing.tasks.reconcile",
            "schedule": crontab(hour="4", minute="30"),
        },
        "credit-mirror": {
            "task": "billing.tasks.mirror_credit",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "deserted-teams": {"task": "billing.tasks.end_deserted", "schedule": 3600.0},
        "stripe-catalog": {"task": "billing.tasks.keep_catalog", "schedule": 900.0},
        "stripe-events": {
            "task": "billing.tasks.process_webhooks",
            "schedule": 5.0,
            "options": {"expires": 10},
        },
        "stripe-sweep": {"task": "billing.tasks.sweep_webhooks", "schedule": 3600.0},
        "analyses": {
            "task": "training.tasks.analyse",
            "schedule": 15.0,
            "options": {"expires": 15},
        },
        "trash": {"task": "projects.tasks.empty_trash", "schedule": 3600.0},
        "assistants-trash": {"task": "assistants.tasks.empty_trash", "schedule": 3600.0},
        "abandoned-uploads": {
            "task": "projects.tasks.delete_abandoned_uploads",
            "schedule": 3600.0,
        },
        "imports": {
            "task": "projects.tasks.resume_imports",
            "schedule": 15.0,
            "options": {"expires": 15},
        },
    },
)
app.autodiscover_tasks()


@before_task_publish.connect
def send_request_id(headers: dict[str, Any], **_: Any) -> None:
    """Let the worker's log lines carry the id of the request that sent the message."""
    headers["request_id"] = request_id.get()


@task_prerun.connect
def set_request_id(task_id: str, task: "Task[Any, Any]", **_: Any) -> None:
    """A task that no request sent is named by its own id."""
    request_id.set(getattr(task.request, "request_id", "") or f"task_{task_id}")


@task_prerun.connect
def record_duty(task: "Task[Any, Any]", **_: Any) -> None:
    """Remember when a periodic task began, for `config.monitoring`."""
    from django.core.cache import cache

    if task.name in {entry["task"] for entry in app.conf.beat_schedule.values()}:
        cache.set(DUTY_KEY.format(task.name), time.time(), DUTY_KEPT_SECONDS)


@task_postrun.connect
def clear_request_id(**_: Any) -> None:
    request_id.set("")
