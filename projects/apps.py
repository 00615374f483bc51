"""The app: its events, and the first project that a new person finds on arrival."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "projects"
    label = "projects"

    def ready(self) -> None:
        # All of these import models, which Django loads only after this module.
        from allauth.account.signals import user_signed_up

        from accounts.models import EventGroup
        from accounts.notifications.events import EventType, register_events
        from accounts.storage_quota import register_use
        from projects.importing.import_claim import pending_imports
        from projects.lifecycle import create_first_projects
        from projects.models import DatasetVersion, ResumableUpload
        from web.queues.readings import register_queue

        user_signed_up.connect(create_first_projects, dispatch_uid="projects.first-project")
        register_use(
            "datasets",
            lambda team: DatasetVersion.objects.filter(dataset__project__team=team).stored(),
        )
        register_use(
            "uploads under way",
            lambda team: [(ResumableUpload.objects.filter(project__team=team), "received")],
        )
        register_queue("imports", pending_imports, "created_at")
        register_events(
            EventType("dataset.ready", EventGroup.RESULTS, "A dataset is imported"),
            EventType("dataset.failed", EventGroup.FAILURES, "A dataset could not be imported"),
            position=20,
        )
