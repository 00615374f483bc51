from django.apps import AppConfig


class InferenceConfig(AppConfig):
    name = "inference"
    label = "inference"

    def ready(self) -> None:
        from accounts.models import EventGroup
        from accounts.notifications.events import EventType, register_events
        from accounts.storage_quota import register_use
        from inference.deployments import endpoints_that_use
        from inference.files.storing import stored
        from inference.models import Deployment
        from inference.queries import page_parts
        from training.cost_sources import register_project_source
        from web.browser.parts import register_part, register_uses
        from web.telemetry.readiness import reports

        register_use("files", stored)
        reports["models"] = _tell_health
        register_part("overview", "inference/_overview.html", page_parts.overview, position=10)
        register_part(
            "model.side", "inference/_model_side.html", page_parts.model_side, position=10
        )

        register_uses("project", endpoints_that_use)
        register_uses("model", endpoints_that_use)
        register_uses("checkpoint", endpoints_that_use)
        register_project_source("deployment", Deployment, "inference:deployment", "Endpoint")
        register_events(
            EventType("deployment.ready", EventGroup.RESULTS, "An endpoint answers with a model"),
            EventType(
                "deployment.gated", EventGroup.FAILURES, "A model was kept from being deployed"
            ),
            EventType(
                "deployment.drifted",
                EventGroup.FAILURES,
                "Requests to an endpoint differ much from what its model learnt from",
            ),
            position=30,
        )


def _tell_health() -> list[str]:
    """Of each models process, in the order of MODELS_URL: everybody may read it, so no address."""
    from inference.gateway.models_client import read_health

    return ["ok" if answers else "does not answer" for answers in read_health().values()]
