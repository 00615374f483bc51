"""Nudges to import. Losing one costs seconds, getting one twice costs nothing."""

from celery import shared_task


@shared_task
def import_version(version_id: str) -> None:
    """Import one version, unless somebody else does or did."""
    from projects import importing

    importing.import_version(version_id)


@shared_task
def resume_imports() -> None:
    """Nudge again for imports whose message or worker was lost."""
    from projects import importing

    for version_id in importing.waiting().values_list("pk", flat=True)[:100]:
        import_version.delay(str(version_id))
