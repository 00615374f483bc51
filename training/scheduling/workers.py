"""The rows of trainers: which are online, what an operator wants of them, why none takes a job.

A trainer's row is locked before any job, so that a drain and a claim have one winner.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, F, Max, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from training.models import Attempt, ComputeClass, DesiredState, Worker, WorkerState
from training.models.worker import DeviceInfo

RETENTION = timedelta(days=14)  # Containers get a new name at every start.


def register(name: str, compute_class: str, *, devices: list[DeviceInfo], slots: int = 1) -> None:
    """A trainer has started. One that was told to stop takes no jobs until told to work again."""
    registered_at = now()
    columns = {
        "compute_class_id": compute_class,
        "version": settings.VERSION,
        "devices": devices,
        "slots": slots,
        "started_at": registered_at,
        "seen_at": registered_at,
        "idle_since": registered_at,
        "stopped_at": None,
    }
    with transaction.atomic():
        worker, is_new = Worker.objects.get_or_create(name=name, defaults=columns)
        if not is_new:
            wish = Case(
                When(wish=DesiredState.STOP, then=Value(DesiredState.DRAIN)), default=F("wish")
            )
            Worker.objects.filter(pk=worker.pk).update(**columns, wish=wish)


def heartbeat(name: str) -> DesiredState:
    """Record that the trainer is alive, busy or idle. Returns what an operator wants of it."""
    is_busy = Attempt.objects.live().filter(worker=name).exists()
    idle_since = None if is_busy else Coalesce(F("idle_since"), now())
    Worker.objects.filter(pk=name).update(
        seen_at=now(), version=settings.VERSION, stopped_at=None, idle_since=idle_since
    )
    wish = Worker.objects.filter(pk=name).values_list("wish", flat=True).first()
    return DesiredState(wish or DesiredState.WORK)


def deregister(name: str) -> None:
    """The trainer has ended in good order."""
    Worker.objects.filter(pk=name).update(stopped_at=now(), idle_since=None)


def lock_if_accepting_jobs(name: str) -> bool:
    """Whether this trainer may take a job; its row stays locked until the transaction ends.

    A name without a row takes jobs: no operator can have told it not to.
    """
    row = Worker.objects.select_for_update().filter(pk=name).values_list("wish", flat=True)
    return row.first() in (None, DesiredState.WORK)


@transaction.atomic
def set_desired_state(worker: Worker, wish: DesiredState, operator: User) -> None:
    """Record what an operator wants. The trainer acts on it at its next heartbeat."""
    Worker.objects.filter(pk=worker.pk).update(wish=wish)
    audit.record(None, operator, f"worker.{wish}", worker.name, compute=worker.compute_class_id)


def delete_old() -> int:
    """Remove trainers that have not been seen for long. Returns how many."""
    old = Worker.objects.filter(seen_at__lt=now() - RETENTION)
    return old.delete()[0]


def no_capacity_reason(compute_class: ComputeClass) -> str:
    """Why no trainer of this class takes jobs; empty when one does."""
    workers = Worker.objects.filter(compute_class=compute_class)
    counts = workers.aggregate(
        accepting=Count("pk", filter=Q(pk__in=workers.accepting_jobs().values("pk"))),
        online=Count("pk", filter=Q(pk__in=workers.online().values("pk"))),
        seen_at=Max("seen_at"),
    )
    if counts["accepting"]:
        return ""
    if counts["online"]:
        return f"every {compute_class.code} worker is draining"
    seen_at = counts["seen_at"]
    if seen_at is None:
        return f"no {compute_class.code} worker has ever been seen; start one"
    minutes = int((now() - seen_at).total_seconds() // 60)
    return f"no {compute_class.code} worker has been seen for {_format_age(minutes)}"


def all_busy_reason(compute_class: ComputeClass) -> str:
    """ "all 3 gpu workers are busy", or empty when one of those that take jobs is idle."""
    accepting = Worker.objects.filter(compute_class=compute_class).accepting_jobs().with_is_busy()
    states = [worker.state for worker in accepting]
    if not states or WorkerState.IDLE in states:
        return ""
    if len(states) == 1:
        return f"the {compute_class.code} worker is busy"
    return f"all {len(states)} {compute_class.code} workers are busy"


def _format_age(minutes: int) -> str:
    if minutes < 120:
        return f"{max(1, minutes)} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
