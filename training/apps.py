from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    label = "training"

    def ready(self) -> None:
        from billing import naming
        from training.job_listing import names_of

        naming.register("training-job", names_of)
