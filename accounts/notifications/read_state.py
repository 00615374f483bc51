"""What one member sees of a team's notices, and has read."""

from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Membership, Notice, NoticeRead
from accounts.notifications.publish import notices_channel
from web.sse import notify

MAX_UNREAD_COUNT = 100  # The bell says "99+" from here on; nobody needs a larger number exactly.
# A notice has the time of its INSERT but becomes visible only at COMMIT. So "all read" sets the
# membership's time this far back, and marks newer notices one by one.
COMMIT_MARGIN = timedelta(seconds=60)


def count_unread(member: Membership) -> int:
    """How many notices the member has not read, counted no further than MAX_UNREAD_COUNT."""
    return Notice.objects.unread_by(member)[:MAX_UNREAD_COUNT].count()


def mark_read(notice: Notice, member: Membership) -> None:
    """Mark one notice as read by the member."""
    _insert_reads([notice], member)
    notify(notices_channel(member.team))


@transaction.atomic
def mark_all_read(member: Membership) -> None:
    """Mark every visible notice as read."""
    until = now() - COMMIT_MARGIN
    unread = Notice.objects.unread_by(member)
    _insert_reads(list(unread.filter(created_at__gt=until)), member)
    Membership.objects.filter(pk=member.pk, notices_read_until__lt=until).update(
        notices_read_until=until
    )
    old = NoticeRead.objects.filter(user=member.user_id, notice__team=member.team_id)
    old.filter(notice__created_at__lte=until).delete()
    notify(notices_channel(member.team))


def _insert_reads(notices: list[Notice], member: Membership) -> None:
    rows = [NoticeRead(notice=notice, user_id=member.user_id) for notice in notices]
    NoticeRead.objects.bulk_create(rows, ignore_conflicts=True)
