"""What one member sees of a team's notices, and has read."""

from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Membership, Notice, NoticeRead
from accounts.notices import channel_of
from web.live import notify

COUNTED = 100  # The bell says "99+" from here on; nobody needs a larger number exactly.
# A notice bears the time of its writing but is seen only once its transaction commits; so "all
# read" draws its line this far back, and marks what is newer one by one.
COMMIT_ROOM = timedelta(seconds=60)


def unread_count(member: Membership) -> int:
    """How many notices the member has not read, counted no further than COUNTED."""
    return Notice.objects.unread_by(member)[:COUNTED].count()


def read(notice: Notice, member: Membership) -> None:
    """Mark one notice as read by the member."""
    _mark([notice], member)
    notify(channel_of(member.team))


@transaction.atomic
def read_all(member: Membership) -> None:
    """Mark as read what there is to see by now."""
    line = now() - COMMIT_ROOM
    unread = Notice.objects.unread_by(member)
    _mark(list(unread.filter(created_at__gt=line)), member)
    Membership.objects.filter(pk=member.pk, notices_read_until__lt=line).update(
        notices_read_until=line
    )
    old = NoticeRead.objects.filter(user=member.user_id, notice__team=member.team_id)
    old.filter(notice__created_at__lte=line).delete()
    notify(channel_of(member.team))


def _mark(notices: list[Notice], member: Membership) -> None:
    rows = [NoticeRead(notice=notice, user_id=member.user_id) for notice in notices]
    NoticeRead.objects.bulk_create(rows, ignore_conflicts=True)
