"""Other forms of a model on the wire: a job makes each, listed with what came of it."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.permissions import require_permission, viewer_of
from training.api.requests import ExportBody
from training.api.serializers import JobAnswer, OneJobAnswer
from training.jobs.exports import launch_export
from training.models import TrainingJob
from training.queries.job_list import with_related
from training.queries.lookups import find_job, find_model
from web.api import cursor_page
from web.idempotency.api import APIView


class ExportsEndpoint(APIView):
    @extend_schema(operation_id="list_model_exports", responses=JobAnswer(many=True))
    def get(self, request: Request, model_id: UUID) -> Response:
        """The export jobs of a model, newest first; `model` is the form made, once there is one."""
        jobs = TrainingJob.objects.filter(source_model=find_model(viewer_of(request), model_id))
        return cursor_page(request, with_related(jobs), lambda job: JobAnswer(job).data)

    @extend_schema(operation_id="export_model", request=ExportBody, responses={201: OneJobAnswer})
    def post(self, request: Request, model_id: UUID) -> Response:
        """Queue a job that makes another form of the model. The report of what it makes has a
        `card` that compares the two; a form that is too much worse fails as export_refused."""
        viewer, user = viewer_of(request), request.user
        model = find_model(viewer, model_id)
        body = ExportBody(data=request.data)
        body.is_valid(raise_exception=True)
        require_permission(viewer, model.team, "write")
        assert isinstance(user, User)
        job = launch_export(model, body.to_export_request(), user, viewer)
        return Response(OneJobAnswer(find_job(viewer, job.pk)).data, status=201)
