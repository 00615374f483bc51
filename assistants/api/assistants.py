"""The native API of assistants, their sources and versions."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import has_permission, require_permission, viewer_of
from assistants.api.serializers import (
    AssistantAnswer,
    AssistantChange,
    AssistantRequest,
    BuildRequest,
    PublishRequest,
    ShadowRequest,
    SourceAnswer,
    SourceRequest,
    VersionAnswer,
)
from assistants.api.shapes import ShadowComparison, ShadowStarted
from assistants.errors import RefusedByGate
from assistants.knowledge.documents import add_document
from assistants.knowledge.importing import Mapping, add_source
from assistants.lifecycle import (
    change_assistant,
    create_assistant,
    find_assistant,
    restore_assistant,
    retire_assistant,
    set_paused,
)
from assistants.models import Assistant, Version
from assistants.versions import building, gate, shadow
from projects.models import Dataset, Project
from web.api import cursor_page
from web.idempotency.api import APIView
from web.reference.hints import schema_of


def find_version(assistant: Assistant, number: int) -> Version:
    """The version with this number. Raises Http404."""
    versions = assistant.versions.select_related("assistant__team")
    return get_object_or_404(versions, number=min(number, 2**31 - 1))


class AssistantsEndpoint(APIView):
    """The team's assistants."""

    @extend_schema(
        operation_id="list_assistants",
        parameters=[OpenApiParameter("name", str, description="Only the one of this name.")],
        responses=AssistantAnswer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = Assistant.objects.visible_to(viewer_of(request))
        if name := request.query_params.get("name"):
            rows = rows.filter(name=name)
        return cursor_page(request, rows, AssistantAnswer().to_representation)

    @extend_schema(
        operation_id="create_assistant", request=AssistantRequest, responses={201: AssistantAnswer}
    )
    def post(self, request: Request) -> Response:
        body = AssistantRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = dict(body.validated_data)
        viewer = viewer_of(request)
        project = get_object_or_404(
            Project.objects.visible_to(viewer).select_related("team"), pk=sent.pop("project")
        )
        require_permission(viewer, project.team, "write")
        assistant = create_assistant(project, sent.pop("name"), viewer, **sent)
        return Response(AssistantAnswer(assistant).data, status=status.HTTP_201_CREATED)


class AssistantEndpoint(APIView):
    """One assistant."""

    @extend_schema(operation_id="read_assistant", responses=AssistantAnswer)
    def get(self, request: Request, assistant_id: UUID) -> Response:
        return Response(AssistantAnswer(find_assistant(viewer_of(request), assistant_id)).data)

    @extend_schema(
        operation_id="change_assistant", request=AssistantChange, responses=AssistantAnswer
    )
    def patch(self, request: Request, assistant_id: UUID) -> Response:
        """Promise and share take effect with the next version, pausing at once."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = AssistantChange(data=request.data, context={"assistant": assistant})
        body.is_valid(raise_exception=True)
        fields = dict(body.validated_data)
        paused = fields.pop("paused", None)
        if fields:
            change_assistant(assistant, viewer_of(request), **fields)
        if paused is not None:
            set_paused(assistant, paused, viewer_of(request))
        return Response(AssistantAnswer(assistant).data)

    @extend_schema(operation_id="retire_assistant", responses=AssistantAnswer)
    def delete(self, request: Request, assistant_id: UUID) -> Response:
        """Answer nobody any more. It lies in the trash for 30 days, and its name is free."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        retire_assistant(assistant, viewer_of(request))
        return Response(AssistantAnswer(assistant).data)


class AssistantRestoreEndpoint(APIView):
    @extend_schema(operation_id="restore_assistant", request=None, responses=AssistantAnswer)
    def post(self, request: Request, assistant_id: UUID) -> Response:
        """Bring it back from the trash: paused if a version was live, else as a draft. 410 after
        30 days; 409 where another assistant has its name now, or its project is in the trash."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        restore_assistant(assistant, viewer_of(request))
        assistant.refresh_from_db()
        return Response(AssistantAnswer(assistant).data)


class SourcesEndpoint(APIView):
    """The datasets an assistant learned from."""

    @extend_schema(operation_id="list_assistant_sources", responses=SourceAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id)
        rows = assistant.sources.select_related("dataset_version")
        return cursor_page(request, rows, SourceAnswer().to_representation)

    @extend_schema(
        operation_id="add_assistant_source", request=SourceRequest, responses={201: SourceAnswer}
    )
    def post(self, request: Request, assistant_id: UUID) -> Response:
        """Rows become phrasings of the answers that the key column names, or passages."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = SourceRequest(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        datasets = Dataset.objects.visible_to(viewer_of(request))
        dataset = get_object_or_404(datasets, pk=sent["dataset"], project__team=assistant.team_id)
        if "text_column" in sent:
            source = add_document(
                assistant,
                dataset,
                viewer_of(request),
                text_column=sent["text_column"],
                heading_column=sent["heading_column"],
            )
            return Response(SourceAnswer(source).data, status=status.HTTP_201_CREATED)
        mapping = Mapping(sent["question_column"], sent["answer_key_column"], sent["answer_column"])
        source = add_source(
            assistant, dataset, mapping, viewer_of(request), is_approved=sent["approved"]
        )
        return Response(SourceAnswer(source).data, status=status.HTTP_201_CREATED)


class VersionsEndpoint(APIView):
    """Builds and measures versions."""

    @extend_schema(operation_id="list_assistant_versions", responses=VersionAnswer(many=True))
    def get(self, request: Request, assistant_id: UUID) -> Response:
        rows = find_assistant(viewer_of(request), assistant_id).versions.all()
        return cursor_page(request, rows, VersionAnswer().to_representation)

    @extend_schema(
        operation_id="build_assistant_version",
        request=BuildRequest,
        responses={202: VersionAnswer},
    )
    def post(self, request: Request, assistant_id: UUID) -> Response:
        """Freeze the knowledge and measure it; read the version until it is measured."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = BuildRequest(data=request.data)
        body.is_valid(raise_exception=True)
        version = building.create_version(assistant, viewer_of(request), **body.validated_data)
        return Response(VersionAnswer(version).data, status=status.HTTP_202_ACCEPTED)


class VersionEndpoint(APIView):
    """One version."""

    @extend_schema(operation_id="read_assistant_version", responses=VersionAnswer)
    def get(self, request: Request, assistant_id: UUID, number: int) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id)
        return Response(VersionAnswer(find_version(assistant, number)).data)


class PublishEndpoint(APIView):
    """Lets a version answer, if it passes the gate."""

    @extend_schema(
        operation_id="publish_assistant_version", request=PublishRequest, responses=VersionAnswer
    )
    def post(self, request: Request, assistant_id: UUID, number: int) -> Response:
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        body = PublishRequest(data=request.data)
        body.is_valid(raise_exception=True)
        version = find_version(assistant, number)
        gate.publish(version, viewer_of(request), why_worse=body.validated_data["why_worse"])
        verdict = {"passed": True, "reasons": []}
        return Response({**VersionAnswer(version).data, "gate": verdict})


class RollbackEndpoint(APIView):
    """Makes the previous version live again."""

    @extend_schema(operation_id="roll_back_assistant", request=None, responses=VersionAnswer)
    def post(self, request: Request, assistant_id: UUID, number: int = 0) -> Response:
        """Roll back to the version that was live before. With a number: 409 unless that version is
        live."""
        assistant = find_assistant(viewer_of(request), assistant_id, "write")
        if number and find_version(assistant, number).status != "live":
            raise RefusedByGate(
                f"Version {number} is not live. Roll back the version that is live."
            )
        return Response(VersionAnswer(gate.roll_back(assistant, viewer_of(request))).data)


class ShadowEndpoint(APIView):
    """Lets a version also decide questions, without replying, and compares it with the live one."""

    @extend_schema(operation_id="read_shadow", responses={200: schema_of(ShadowComparison)})
    def get(self, request: Request, assistant_id: UUID, number: int) -> Response:
        """`question` is null for a token whose creator may not use the inbox."""
        assistant = find_assistant(viewer_of(request), assistant_id)
        version = find_version(assistant, number)
        may_see = has_permission(viewer_of(request), assistant.team, "inbox")
        compared = shadow.compare(version)
        return Response(
            {
                "object": "assistant.shadow",
                "questions": compared.questions,
                "same": compared.same,
                "live_answered": compared.live_answered,
                "shadow_answered": compared.shadow_answered,
                "differences": [
                    {
                        "question": row.decision.question if may_see else None,
                        "live": row.decision.answer_key or row.decision.route,
                        "shadow": row.answer_key or row.route,
                        "confidence": round(row.confidence, 4),
                    }
                    for row in compared.differences
                ],
            }
        )

    @extend_schema(
        operation_id="start_shadow",
        request=ShadowRequest,
        responses={202: schema_of(ShadowStarted)},
    )
    def post(self, request: Request, assistant_id: UUID, number: int) -> Response:
        """Let the version decide the next `questions`. 409 for a version that is not measured."""
        version = find_version(find_assistant(viewer_of(request), assistant_id, "write"), number)
        body = ShadowRequest(data=request.data)
        body.is_valid(raise_exception=True)
        questions = body.validated_data["questions"]
        shadow.start(version, questions, viewer_of(request))
        answer = {"object": "assistant.shadow", "questions_left": questions}
        return Response(answer, status=status.HTTP_202_ACCEPTED)
