"""The rows of trainers: who is there, what they are told, and why nobody takes a job.

A trainer's row is locked before any job, so that a drain and a claim have one winner.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from training.models import Attempt, ComputeClass, Wish, Worker, WorkerState

FORGOTTEN_AFTER = timedelta(days=14)  # Containers get a new name at every start.


def hello(name: str, compute_class: str, *, devices: list[dict[str, Any]], slots: int = 1) -> None:
    """A trainer has started. One that was told to stop takes no jobs until told to work again."""
    moment = now()
    facts = {
        "compute_class_id": compute_class,
        "version": settings.VERSION,
        "devices": devices,
        "slots": slots,
        "started_at": moment,
        "seen_at": moment,
        "idle_since": moment,
        "stopped_at": None,
    }
    with transaction.atomic():
        worker, is_new = Worker.objects.get_or_create(name=name, defaults=facts)
        if not is_new:
            wish = Case(When(wish=Wish.STOP, then=Value(Wish.DRAIN)), default=F("wish"))
            Worker.objects.filter(pk=worker.pk).update(**facts, wish=wish)


def beat(name: str) -> Wish:
    """The trainer lives, busy or idle; what an operator wants of it."""
    is_busy = Attempt.objects.live().filter(worker=name).exists()
    idle_since = None if is_busy else Coalesce(F("idle_since"), now())
    Worker.objects.filter(pk=name).update(
        seen_at=now(), version=settings.VERSION, stopped_at=None, idle_since=idle_since
    )
    wish = Worker.objects.filter(pk=name).values_list("wish", flat=True).first()
    return Wish(wish or Wish.WORK)


def goodbye(name: str) -> None:
    """The trainer has ended in good order."""
    Worker.objects.filter(pk=name).update(stopped_at=now(), idle_since=None)


def lock_if_taking_jobs(name: str) -> bool:
    """Whether this trainer may take a job; its row stays locked until the transaction ends.

    A name that never said hello takes jobs: nobody could have told it not to.
    """
    row = Worker.objects.select_for_update().filter(pk=name).values_list("wish", flat=True)
    return row.first() in (None, Wish.WORK)


@transaction.atomic
def tell(worker: Worker, wish: Wish, operator: User) -> None:
    """Put an operator's wish on record. The trainer obeys it with its next heartbeat."""
    Worker.objects.filter(pk=worker.pk).update(wish=wish)
    audit.record(None, operator, f"worker.{wish}", worker.name, compute=worker.compute_class_id)


def forget_old() -> int:
    """Remove trainers that have not been seen for long. Returns how many."""
    old = Worker.objects.filter(seen_at__lt=now() - FORGOTTEN_AFTER)
    return old.delete()[0]


def why_nobody(compute_class: ComputeClass) -> str:
    """Why no trainer of this class takes jobs; empty when one does."""
    workers = Worker.objects.filter(compute_class=compute_class)
    if workers.taking_jobs().exists():
        return ""
    if workers.seen().exists():
        return f"every {compute_class.code} worker is draining"
    seen_at = workers.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if seen_at is None:
        return f"no {compute_class.code} worker has ever been seen; start one"
    minutes = int((now() - seen_at).total_seconds() // 60)
    return f"no {compute_class.code} worker has been seen for {_span(minutes)}"


def busy_words(compute_class: ComputeClass) -> str:
    """ "all 3 gpu workers are busy", or empty when one of those that take jobs is idle."""
    taking = Worker.objects.filter(compute_class=compute_class).taking_jobs().with_jobs()
    states = [worker.state for worker in taking]
    if not states or WorkerState.IDLE in states:
        return ""
    if len(states) == 1:
        return f"the {compute_class.code} worker is busy"
    return f"all {len(states)} {compute_class.code} workers are busy"


def _span(minutes: int) -> str:
    if minutes < 120:
        return f"{max(1, minutes)} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
