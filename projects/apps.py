"""The app, and the first project that a new person finds on arrival."""

from typing import Any

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "projects"
    label = "projects"

    def ready(self) -> None:
        from allauth.account.signals import user_signed_up

        user_signed_up.connect(_create_first_project, dispatch_uid="projects.first-project")


def _create_first_project(user: Any, **_: Any) -> None:
    from projects.opening import open_first_projects

    open_first_projects(user)
