"""How many requests the log of an endpoint keeps, and for how long."""

from django.db import connection, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind, require_permission
from inference.models import Deployment, RequestLog
from web.sse import notify

MAX_ONE_IN, MAX_DAYS = 1_000, 90
MAX_ROWS_PER_DEPLOYMENT = 10_000

_LOG, _DEPLOYMENT = RequestLog._meta.db_table, Deployment._meta.db_table
_DELETE_OVERDUE_SQL = f"""
DELETE FROM {_LOG} log USING {_DEPLOYMENT} deployment
WHERE deployment.id = log.deployment_id AND (
    deployment.log_one_in = 0 OR log.at < %s - make_interval(days => deployment.log_days)
)
"""
_DELETE_EXCESS_SQL = f"""
DELETE FROM {_LOG} WHERE request_id IN (
    SELECT request_id FROM (
        SELECT request_id, row_number() OVER (PARTITION BY deployment_id ORDER BY at DESC) AS place
        FROM {_LOG}
    ) AS ranked WHERE place > %s
)
"""


@transaction.atomic
def set_retention(
    deployment: Deployment, one_in: int, days: int, viewer: User | ApiToken
) -> Deployment:
    """Keep one in so many requests for so many days from now on; 0 keeps nothing, and what was
    kept is deleted. Raises NotAllowed for all but owners and admins, also behind an API token."""
    require_permission(viewer, deployment.team, "write")
    require_permission(person_behind(viewer), deployment.team, "team")
    deployment.log_one_in, deployment.log_days = one_in, days
    deployment.save(update_fields=["log_one_in", "log_days"])
    if one_in == 0:
        RequestLog.objects.filter(deployment=deployment).delete()
    audit.record(
        deployment.team,
        viewer,
        "deployment.log-changed",
        deployment.name,
        deployment=str(deployment.pk),
        keeps_one_in=str(one_in),
        days=str(days),
    )
    notify(f"deployments:{deployment.team_id}")
    return deployment


def delete_old() -> None:
    """Delete what is older than its endpoint keeps it, and beyond MAX_ROWS_PER_DEPLOYMENT the
    oldest. Of an endpoint that keeps nothing, what a models process wrote a moment later goes."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE_OVERDUE_SQL, [now()])
        cursor.execute(_DELETE_EXCESS_SQL, [MAX_ROWS_PER_DEPLOYMENT])
