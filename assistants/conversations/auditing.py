"""Which decisions people are asked to judge: a random sample, so that its share is the truth's."""

import random
import time
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

from django.core.cache import cache
from django.utils.timezone import now

from assistants.models import Assistant, Decision

AUDITED_PER_DAY = 20
TRAFFIC_DAYS = 7
SHARE_CACHE_SECONDS = 3600


def is_drawn_for_audit(assistant: Assistant) -> bool:
    """At random, so that about AUDITED_PER_DAY decisions are drawn; all where there are fewer."""
    hour = int(time.time() // SHARE_CACHE_SECONDS)
    return random.random() < _share_of_hour(assistant.pk, hour)


@lru_cache(maxsize=1024)
def _share_of_hour(assistant_id: UUID, hour: int) -> float:
    """From this process's memory, else from what all processes share."""
    key = f"assistants:audit-share:{assistant_id}:{hour}"
    share = cache.get(key)
    if share is None:
        # From the traffic of the last days, which does not depend on what is asked today.
        since = now() - timedelta(days=TRAFFIC_DAYS)
        recent = Decision.objects.filter(message__channel__assistant=assistant_id, at__gte=since)
        share = min(1.0, AUDITED_PER_DAY * TRAFFIC_DAYS / max(1, recent.count()))
        cache.set(key, share, 2 * SHARE_CACHE_SECONDS)
    return float(share)
