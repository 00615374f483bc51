"""Messages to import. Losing one costs seconds, getting one twice costs nothing."""

from celery import shared_task

from projects import purge
from projects.importing import imports, resumable_uploads

for name, function in {
    "import_next": imports.import_next,
    "resume_imports": imports.resume,
    "empty_trash": purge.purge_datasets,
    "delete_abandoned_uploads": resumable_uploads.delete_abandoned,
}.items():
    shared_task(name=f"projects.tasks.{name}")(function)
