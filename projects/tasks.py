"""Messages to import. Losing one costs seconds, getting one twice costs nothing."""

from celery import shared_task

from projects import purge
from projects.importing import imports, resumable_uploads


@shared_task
def import_next() -> None:
    """Import the version whose turn it is."""
    imports.import_next()


@shared_task
def resume_imports() -> None:
    """Send messages for imports whose message or worker was lost."""
    imports.resume()


@shared_task
def empty_trash() -> None:
    """Delete the data of datasets that can no longer be restored."""
    purge.purge_datasets()


@shared_task
def delete_abandoned_uploads() -> None:
    """Free what uploads hold that nobody has gone on with."""
    resumable_uploads.delete_abandoned()
