"""Projects over the API: opened, renamed, moved to the trash and back."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import require_permission, token_of
from projects.lifecycle import archive_project, change_details, create_project, restore_project
from projects.models import Project
from web.api import cursor_page
from web.idempotency.api import APIView
from web.validation.details import DetailsChange
from web.validation.fields import PrintableField


class ProjectRequest(serializers.Serializer[Any]):
    name = PrintableField(max_length=120)


class ProjectAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.ReadOnlyField(default="project")
    name = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    notes = serializers.CharField()
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when it is in the trash; null: it is not."
    )


class ProjectsEndpoint(APIView):
    """The token's team's projects."""

    @extend_schema(operation_id="projects_list", responses=ProjectAnswer(many=True))
    def get(self, request: Request) -> Response:
        projects = Project.objects.visible_to(request.auth).active()
        return cursor_page(request, projects, ProjectAnswer().to_representation)

    @extend_schema(
        operation_id="projects_create", request=ProjectRequest, responses={201: ProjectAnswer}
    )
    def post(self, request: Request) -> Response:
        payload = ProjectRequest(data=request.data)
        payload.is_valid(raise_exception=True)
        token = token_of(request)
        require_permission(token, token.team, "write")
        project = create_project(token.team, payload.validated_data["name"], token)
        return Response(ProjectAnswer(project).data, status=201)


class ProjectEndpoint(APIView):
    @extend_schema(operation_id="projects_retrieve", responses=ProjectAnswer)
    def get(self, request: Request, project_id: UUID) -> Response:
        """One project."""
        project = get_object_or_404(Project.objects.visible_to(request.auth), pk=project_id)
        return Response(ProjectAnswer(project).data)

    @extend_schema(operation_id="projects_change", request=DetailsChange, responses=ProjectAnswer)
    def patch(self, request: Request, project_id: UUID) -> Response:
        """Give the project another name, tags or notes; what it holds keeps its own."""
        project = _find_project_to_change(request, project_id)
        body = DetailsChange(data=request.data)
        body.is_valid(raise_exception=True)
        change_details(project, body.details_of(project), token_of(request))
        return _answer(project)

    @extend_schema(operation_id="projects_archive", responses=ProjectAnswer)
    def delete(self, request: Request, project_id: UUID) -> Response:
        """Move the project to the trash for 30 days; what it holds stays as it is. 409 names the
        fine-tunes, endpoints and assistants that still use it."""
        project = _find_project_to_change(request, project_id)
        archive_project(project, token_of(request))
        return _answer(project)


class ProjectRestoreEndpoint(APIView):
    @extend_schema(operation_id="projects_restore", request=None, responses=ProjectAnswer)
    def post(self, request: Request, project_id: UUID) -> Response:
        """Bring the project back from the trash. 410 after 30 days."""
        project = _find_project_to_change(request, project_id)
        restore_project(project, token_of(request))
        return _answer(project)


def _find_project_to_change(request: Request, project_id: UUID) -> Project:
    token = token_of(request)
    visible = Project.objects.visible_to(token).select_related("team")
    project = get_object_or_404(visible, pk=project_id)
    require_permission(token, project.team, "write")
    return project


def _answer(project: Project) -> Response:
    project.refresh_from_db()
    return Response(ProjectAnswer(project).data)
