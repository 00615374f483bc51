"""Stored models that no row names: a trainer killed between storing and finishing leaves one."""

import logging
from datetime import timedelta

from django.utils.timezone import now

from projects import storage
from training.artifacts.storage import ARTIFACTS_FOLDER, artifact_key
from training.models import TrainedModel
from web.validation.values import parse_uuid

logger = logging.getLogger(__name__)

MIN_ORPHAN_AGE = timedelta(days=1)  # Storing and finishing take minutes, however large the model.


def delete_orphans() -> int:
    """Delete what nobody names and nobody has written to for a day. Returns how many."""
    known = {str(pk) for pk in TrainedModel.objects.values_list("pk", flat=True)}
    unknown = [name for name in storage.list_folders(ARTIFACTS_FOLDER) if name not in known]
    return sum(_delete_if_orphaned(name) for name in unknown if str(parse_uuid(name)) == name)


def _delete_if_orphaned(name: str) -> bool:
    changed_at = storage.last_modified(artifact_key(name))
    if changed_at is None or changed_at > now() - MIN_ORPHAN_AGE:
        return False
    if TrainedModel.objects.filter(pk=name).exists():  # It was finished since the list was read.
        return False
    storage.delete(artifact_key(name))
    logger.warning("Deleted the stored model %s, which no row names", name)
    return True
