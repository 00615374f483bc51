"""A worker's claim of an import: a lease that expires, and a fence against an expired holder."""

import datetime
import uuid

from django.db import close_old_connections, connection, transaction
from django.db.models import Case, F, Q, QuerySet, When
from django.utils.timezone import now

from projects.errors import StaleImportState
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from web.db_retry import retry_on_disconnect

CLAIM_SECONDS = 60  # A worker that has not renewed its claim for this long is presumed dead.
MAX_RUNNING_PER_TEAM = 2  # Fewer than the threads of the imports' worker (config.queues).

_VERSIONS = DatasetVersion._meta.db_table
_IMPORTING = f"""
    SELECT version.id, version.created_at, version.claimed_until > now() AS is_running,
        project.team_id
    FROM {_VERSIONS} version
    JOIN {Dataset._meta.db_table} dataset ON dataset.id = version.dataset_id
    JOIN {Project._meta.db_table} project ON project.id = dataset.project_id
    WHERE version.status = '{ImportStatus.IMPORTING}'
"""
# An import's turn is how many of its team run or were uploaded before it, as a job's is.
_NEXT_IMPORTS = f"""
WITH importing AS MATERIALIZED ({_IMPORTING}), running AS (
    SELECT team_id, count(*) AS imports FROM importing WHERE is_running GROUP BY team_id
), line AS (
    SELECT id, created_at, coalesce(running.imports, 0)
        + row_number() OVER (PARTITION BY team_id ORDER BY created_at, id) - 1 AS turn
    FROM importing LEFT JOIN running USING (team_id)
    WHERE is_running IS NOT TRUE
)
SELECT id FROM line WHERE turn < {MAX_RUNNING_PER_TEAM} ORDER BY turn, created_at, id LIMIT 8
"""


def pending_imports() -> QuerySet[DatasetVersion]:
    """Imports that no worker has claimed, or whose claim has expired."""
    return DatasetVersion.objects.filter(status=ImportStatus.IMPORTING).filter(
        Q(claimed_until=None) | Q(claimed_until__lt=now())
    )


class ImportClaim:
    """The right to import one version and to publish the result.

    `claimed_until` of the row is also the fence: a claim can only be taken when the last one has
    expired, so each claim writes a later moment; a renewal or publication requires the moment that
    this holder wrote last. Each attempt stores its files under its own keys, so that an expired
    holder can neither publish nor overwrite what its successor published.
    """

    def __init__(self, version_id: uuid.UUID | str, until: datetime.datetime) -> None:
        self.version_id = version_id
        self.until = until
        self.folder = f"datasets/{version_id}/{until:%Y%m%dT%H%M%S%f}"

    @classmethod
    def take(cls, version_id: uuid.UUID | str) -> "ImportClaim | None":
        """A claim of this import; None when another worker has it or it has ended."""
        until = _claim_expiry()
        # An earlier holder ended without an outcome: killed, or cut off from the database.
        earlier = Case(When(claimed_until=None, then=0), default=1)
        is_taken = (
            pending_imports()
            .filter(pk=version_id)
            .update(claimed_until=until, interruptions=F("interruptions") + earlier)
        )
        return cls(version_id, until) if is_taken else None

    @classmethod
    def take_next(cls) -> "ImportClaim | None":
        """A claim of the import that is next; None when no pending import may run now.

        Teams take turns, and none runs more than MAX_RUNNING_PER_TEAM imports, so that a team's
        many uploads do not delay another's next file.
        """
        with connection.cursor() as cursor:
            cursor.execute(_NEXT_IMPORTS)
            candidates = [version_id for (version_id,) in cursor.fetchall()]
        return next(filter(None, map(cls.take, candidates)), None)

    def renew(self) -> None:
        """Keep the claim for another CLAIM_SECONDS. Raises StaleImportState when it was lost."""
        if not transaction.get_connection().in_atomic_block:
            close_old_connections()
        until = _claim_expiry()
        # `until` too: after a lost connection the row may already hold the new moment.
        claimed = DatasetVersion.objects.filter(
            pk=self.version_id,
            status=ImportStatus.IMPORTING,
            claimed_until__in=[self.until, until],
        )
        if not retry_on_disconnect(lambda: claimed.update(claimed_until=until)):
            raise StaleImportState
        self.until = until

    def give_back(self, pause: datetime.timedelta) -> None:
        """Let any worker take the import after a pause. Does nothing where the claim was lost."""
        claimed = DatasetVersion.objects.filter(
            pk=self.version_id, status=ImportStatus.IMPORTING, claimed_until=self.until
        )
        retry_on_disconnect(lambda: claimed.update(claimed_until=now() + pause))


def _claim_expiry() -> datetime.datetime:
    return now() + datetime.timedelta(seconds=CLAIM_SECONDS)
