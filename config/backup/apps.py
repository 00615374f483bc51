from django.apps import AppConfig


class BackupConfig(AppConfig):
    """No models: its commands are `manage.py backup` and `manage.py restore`."""

    name = "config.backup"
