"""Alerts for the operator about problems with money; a repeated problem is one alert."""

import logging

from django.db.models import F
from django.utils.timezone import now

from billing.models import OperatorAlert

logger = logging.getLogger(__name__)


def raise_alert(key: str, sentence: str) -> None:
    """Raise an alert in the admin and in the log. The same key again counts it and reopens it."""
    moment = now()
    is_known = OperatorAlert.objects.filter(key=key).update(
        sentence=sentence, times=F("times") + 1, last_at=moment, settled_at=None
    )
    if not is_known:
        OperatorAlert.objects.bulk_create(
            [OperatorAlert(key=key, sentence=sentence)], ignore_conflicts=True
        )
    logger.error("%s", sentence)


def settle_alert(key: str) -> None:
    """Mark an alert as settled."""
    OperatorAlert.objects.filter(key=key, settled_at=None).update(settled_at=now())
