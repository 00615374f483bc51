"""/v1/fine_tuning/checkpoints/…/permissions: which projects may ask a fine-tuned model.

Every project of a team may ask each of its models, so permissions are listed, agreed to when asked
for, and cannot be taken away.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import token_of
from inference.errors import NoSuchObject, PermissionStays
from inference.fine_tuning.names import find_named_job, split_checkpoint
from inference.models import FineTuningJob
from inference.openai.wire import (
    JsonObject,
    OpenAiView,
    find_object,
    list_object,
    list_page,
    parse_body,
    parse_id,
    unix_time,
    wire_id,
)
from projects.models import Project
from web.api import BadParameter

PERMISSION, PROJECT = "cp_", "proj_"


class PermissionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project_ids: Annotated[
        list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=100)
    ]


def _find_job(request: Request, name: str) -> FineTuningJob:
    """The fine-tune whose model or checkpoint has this name. Raises NoSuchObject."""
    job = find_named_job(token_of(request).team_id, split_checkpoint(name)[0])
    if job is None:
        raise NoSuchObject(
            f"This team has no fine-tuned model {name[:100]!r}.",
            param="fine_tuned_model_checkpoint",
        )
    return job


def _permission_object(project: Project) -> JsonObject:
    return {
        "id": wire_id(PERMISSION, project.pk),
        "object": "checkpoint.permission",
        "created_at": unix_time(project.created_at),
        "project_id": wire_id(PROJECT, project.pk),
    }


class PermissionsView(OpenAiView):
    def get(self, request: Request, name: str) -> Response:
        job = _find_job(request, name)
        rows = Project.objects.filter(team=job.team).active()
        return Response(list_page(request, rows, PERMISSION, _permission_object))

    def post(self, request: Request, name: str) -> Response:
        """Grants nothing that is not so already; a project of another team is refused."""
        job, body = _find_job(request, name), parse_body(PermissionBody, request.data)
        keys = [parse_id(PROJECT, one) for one in body.project_ids]
        projects = Project.objects.filter(team=job.team).active().in_bulk(filter(None, keys))
        for text, key in zip(body.project_ids, keys, strict=True):
            if key not in projects:
                raise BadParameter(
                    f"This team has no project {text!r}, and others cannot ask its models.",
                    param="project_ids",
                )
        data = [_permission_object(projects[key]) for key in keys if key is not None]
        return Response(list_object(data, has_more=False))


class PermissionView(OpenAiView):
    def delete(self, request: Request, name: str, permission_id: str) -> Response:
        rows = Project.objects.filter(team=_find_job(request, name).team)
        find_object(rows, PERMISSION, permission_id, "Permission", "permission_id")
        raise PermissionStays
