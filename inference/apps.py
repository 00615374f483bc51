from django.apps import AppConfig


class InferenceConfig(AppConfig):
    name = "inference"
    label = "inference"

    def ready(self) -> None:
        from billing import naming
        from inference.deploy import names_of

        naming.register("deployment", names_of)
