"""Deletes for good what has been in the trash for longer than it can be restored."""

import logging

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts import audit
from projects import storage
from projects.models import Dataset, DatasetVersion
from web.browser.parts import uses_of
from web.browser.trash import restorable_since

logger = logging.getLogger(__name__)
MAX_AT_ONCE = 100  # An hourly duty comes again.


def in_trash_too_long() -> Q:
    """Of rows with a project: removed by themselves or with it, too long ago to come back."""
    since = restorable_since()
    return Q(archived_at__lt=since) | Q(project__archived_at__lt=since)


def purge_datasets() -> int:
    """Delete their data. Rows stay, without values, for what was made and paid. Returns how many.

    Files go first: a duty that is ended between the two finds the dataset again.
    """
    due = Dataset.objects.filter(in_trash_too_long(), purged_at=None)
    purged = list(due.select_related("project__team").order_by("pk")[:MAX_AT_ONCE])
    for dataset in purged:
        if uses_of("dataset", dataset):  # A job was begun on it before the trash refused that.
            continue
        _delete_files(dataset)
        with transaction.atomic():
            if Dataset.objects.filter(pk=dataset.pk, purged_at=None).update(
                purged_at=now(), tags=[], notes=""
            ):
                dataset.versions.update(profile={}, issues=[])  # They quote the data.
                audit.record(dataset.project.team, None, "dataset.purged", dataset.name)
        logger.info("Deleted dataset %s from the trash", dataset.pk)
    return len(purged)


def _delete_files(dataset: Dataset) -> None:
    for version in dataset.versions.all():
        storage.delete(f"datasets/{version.pk}")
        elsewhere = DatasetVersion.objects.filter(upload_key=version.upload_key)
        if not elsewhere.exclude(dataset=dataset).filter(dataset__purged_at=None).exists():
            storage.delete(version.upload_key)
