"""From a notice to its e-mails and webhook deliveries, once, however often it is tried."""

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Notice

BATCH = 50


def fan_out_due() -> int:
    """Turn every untold notice into rows to send; how many there were. Safe beside itself."""
    total = 0
    while told := _fan_out_some():
        total += told
    return total


@transaction.atomic
def _fan_out_some() -> int:
    untold = Notice.objects.untold().select_for_update(skip_locked=True, of=("self",), no_key=True)
    batch = list(untold.order_by("created_at")[:BATCH])
    Notice.objects.filter(pk__in=[notice.pk for notice in batch]).update(fanned_out_at=now())
    return len(batch)
