from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    label = "training"

    def ready(self) -> None:
        from accounts.models import EventGroup
        from accounts.notifications.events import EventType, register_events
        from training.cost_sources import register_project_source
        from training.jobs.removal import unfinished_jobs_of
        from training.models import TrainingJob
        from training.queries.page_parts import dataset_jobs
        from web.browser.parts import register_part, register_uses

        self._register_readings()
        register_part("dataset.jobs", "training/_dataset_jobs.html", dataset_jobs, position=10)
        for kind in ("project", "dataset", "model", "job"):
            register_uses(kind, unfinished_jobs_of)
        register_project_source("training-job", TrainingJob, "training:job", "Fine-tune")
        register_events(
            EventType("training_job.queued", EventGroup.PROGRESS, "A fine-tune waits for a worker"),
            EventType("training_job.running", EventGroup.PROGRESS, "A fine-tune has started"),
            EventType("training_job.paused", EventGroup.PROGRESS, "A fine-tune is paused"),
            EventType("training_job.resumed", EventGroup.PROGRESS, "A fine-tune was resumed"),
            EventType(
                "training_job.succeeded",
                EventGroup.RESULTS,
                "A fine-tune has its model",
                openai_name="fine_tuning.job.succeeded",
                openai_prefix="ftjob-",
                in_new_webhooks=True,
            ),
            EventType(
                "training_job.failed",
                EventGroup.FAILURES,
                "A fine-tune failed",
                openai_name="fine_tuning.job.failed",
                openai_prefix="ftjob-",
                in_new_webhooks=True,
            ),
            EventType(
                "training_job.cancelled",
                EventGroup.RESULTS,
                "A fine-tune was cancelled",
                openai_name="fine_tuning.job.cancelled",
                openai_prefix="ftjob-",
                in_new_webhooks=True,
            ),
            position=10,
        )

    def _register_readings(self) -> None:
        """What the team keeps here, and what waits."""

        from accounts.storage_quota import register_use
        from training.models import Analysis, Status, TrainedModel, TrainingJob
        from web.queues.readings import register_queue

        register_use(
            "models",
            lambda team: [
                (TrainedModel.objects.filter(team=team, archived_at=None), "artifact_bytes")
            ],
        )
        register_queue(
            "analyses", lambda: Analysis.objects.open().filter(started_at=None), "created_at"
        )
        register_queue(
            "training jobs", lambda: TrainingJob.objects.filter(status=Status.QUEUED), "queued_at"
        )
