"""Celery tasks about money. Each is one function; a lost or repeated message changes nothing."""

from celery import shared_task

from billing.budgets import forecast, holds
from billing.credit import allowances, grants
from billing.statements import invoices
from billing.stripe import credit, doctor, reconciliation, subscriptions, usage_outbox
from billing.stripe.webhooks import dispatcher, inbox

for name, function in {
    "expire_credit": grants.expire_due,
    "grant_included_credit": allowances.grant_plan_allowances,
    "warn_of_expiry": grants.warn_of_expiry,
    "report_usage": usage_outbox.report_usage,
    "deliver_usage": usage_outbox.flush,
    "mirror_credit": credit.mirror_due,
    "reconcile": reconciliation.reconcile_all,
    "keep_catalog": doctor.keep_catalog,
    "end_deserted": subscriptions.end_deserted,
    "process_webhooks": dispatcher.process_due,
    "sweep_webhooks": inbox.fetch_missed_events,
    "watch_spending": holds.hold_anomalous_teams,
    "warn_of_overspending": forecast.warn_of_overspending,
    "issue_invoices": invoices.issue_due,
}.items():
    shared_task(name=f"billing.tasks.{name}")(function)
