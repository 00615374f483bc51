from django.apps import AppConfig


class ObservabilityConfig(AppConfig):
    """No models: starts what is configured once Django's applications are ready."""

    name = "config.observability"

    def ready(self) -> None:
        from config.observability import reporting

        reporting.start()
