"""Other forms of a model on the wire: a job makes each, listed with what came of it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import require, viewer_of
from accounts.models import User
from engine.spec import ExportSpec
from training.api_models import find_model
from training.api_shapes import JobAnswer, OneJobAnswer
from training.exports import ExportRequest, launch_export
from training.job_listing import for_pages
from training.models import TrainingJob
from web.api import BadParameter, listing

FIELDS = ExportSpec.model_fields


class ExportBody(serializers.Serializer[Any]):
    """The form wanted. What is left out takes its default."""

    format = serializers.CharField(help_text=FIELDS["format"].description or "")
    keep = serializers.FloatField(required=False, help_text=FIELDS["keep"].description or "")
    keep_heads = serializers.FloatField(
        required=False, help_text=FIELDS["keep_heads"].description or ""
    )
    layers = serializers.IntegerField(required=False, help_text=FIELDS["layers"].description or "")
    epochs = serializers.IntegerField(required=False, help_text=FIELDS["epochs"].description or "")
    largest_loss = serializers.FloatField(
        required=False, help_text=FIELDS["largest_loss"].description or ""
    )
    compute = serializers.CharField(required=False, allow_null=True)
    name = serializers.CharField(required=False, allow_null=True, max_length=120)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        for name in data if isinstance(data, dict) else ():
            if name not in self.fields:
                known = ", ".join(self.fields)
                raise BadParameter(f"Unknown field {name!r}. Known: {known}.", param=str(name))
        found: dict[str, Any] = super().to_internal_value(data)
        return found

    def wanted(self) -> ExportRequest:
        """Of a valid body."""
        sent = dict(self.validated_data)
        named = {name: sent.pop(name, None) for name in ("format", "compute", "name")}
        return ExportRequest(options=sent, **named)


class ExportsEndpoint(APIView):
    @extend_schema(operation_id="list_model_exports", responses=JobAnswer(many=True))
    def get(self, request: Request, model_id: UUID) -> Response:
        """The export jobs of a model, newest first; `model` is the form made, once there is one."""
        jobs = TrainingJob.objects.filter(source_model=find_model(request, model_id))
        return listing(request, for_pages(jobs), lambda job: JobAnswer(job).data)

    @extend_schema(operation_id="export_model", request=ExportBody, responses={201: OneJobAnswer})
    def post(self, request: Request, model_id: UUID) -> Response:
        """Queue a job that makes another form of the model. The report of what it makes has a
        `card` that compares the two; a form that is too much worse fails as export_refused."""
        model, viewer, user = find_model(request, model_id), viewer_of(request), request.user
        body = ExportBody(data=request.data)
        body.is_valid(raise_exception=True)
        require(viewer, model.team, "write")
        assert isinstance(user, User)
        job = launch_export(model, body.wanted(), user, viewer)
        found = for_pages(TrainingJob.objects.filter(pk=job.pk)).get()
        return Response(OneJobAnswer(found).data, status=201)
