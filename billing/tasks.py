"""Nudges about money. Each task's body is one call; a lost or repeated message changes nothing."""

from celery import shared_task


@shared_task
def expire_credit() -> None:
    """Book back credit whose time is over."""
    from billing import credits

    credits.expire_due()


@shared_task
def grant_included_credit() -> None:
    """Give teams the month's credit of their plans where no Stripe does."""
    from billing import included_credit

    included_credit.grant_due()


@shared_task
def warn_of_expiry() -> None:
    """Say which credit expires within a week."""
    from billing import credits

    credits.warn_of_expiry()


@shared_task
def report_usage() -> None:
    """Take new usage into the outbox and deliver it."""
    from billing import outbox

    outbox.report()


@shared_task
def deliver_usage() -> None:
    """Deliver what was to be tried again."""
    from billing import outbox

    outbox.flush()


@shared_task
def reconcile() -> None:
    """Compare the last days' usage with what Stripe counted."""
    from billing import reconciling

    reconciling.reconcile_all()


@shared_task
def process_webhooks() -> None:
    """Carry out what Stripe told us."""
    from billing.webhooks import processing

    processing.process_due()


@shared_task
def sweep_webhooks() -> None:
    """Fetch messages of Stripe's that never reached us."""
    from billing.webhooks import inbox

    inbox.sweep()


@shared_task
def watch_spending() -> None:
    """Hold teams that spend as never before."""
    from billing import watching

    watching.hold_unusual()


@shared_task
def warn_of_overspending() -> None:
    """Tell teams that will not get through the month under their cap."""
    from billing import watching

    watching.warn_of_overspending()


@shared_task
def issue_invoices() -> None:
    """Issue the invoices of months that are over."""
    from billing import invoicing

    invoicing.issue_due()


@shared_task
def check_day_sums() -> None:
    """Compare the daily sums with the ledger."""
    from billing import day_checking

    day_checking.check()
