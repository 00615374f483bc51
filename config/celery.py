"""Celery: the timetable and nothing else. A message is a nudge; the database row is the work."""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("lathe", task_cls="celery.contrib.django.task:DjangoTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_default_queue="default",
    task_ignore_result=True,
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    # Nudges are worthless once stale: beat sends fresh ones.
    task_routes={"training.tasks.work": {"queue": "compute.cpu"}},
    beat_schedule={
        "plans": {
            "task": "inference.tasks.carry_plans",
            "schedule": 5.0,
            "options": {"expires": 10},
        },
        "request-log": {"task": "inference.tasks.trim_request_log", "schedule": 3600.0},
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
        "day-sums": {
            "task": "billing.tasks.check_day_sums",
            "schedule": crontab(hour="4", minute="10"),
        },
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
        "imports": {
            "task": "projects.tasks.resume_imports",
            "schedule": 15.0,
            "options": {"expires": 15},
        },
    },
)
app.autodiscover_tasks()
