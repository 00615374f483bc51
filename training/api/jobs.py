"""Fine-tunes on the wire: estimate, launch, watch, stop."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.permissions import require_permission, viewer_of
from projects.models import Dataset, DatasetVersion, Project
from training.api.requests import JobRequest, RestartRequest
from training.api.serializers import (
    CheckpointAnswer,
    EstimateAnswer,
    EventAnswer,
    InspectionAnswer,
    JobAnswer,
    LogAnswer,
    MetricsAnswer,
    OneJobAnswer,
    PointAnswer,
    TrialAnswer,
)
from training.estimates.estimate import Estimate
from training.jobs import actions, removal
from training.jobs.launch import LaunchRequest, estimate, launch
from training.jobs.launch_preview import find_version, newest_ready_version
from training.models import Checkpoint, TrainingJob
from training.queries.job_list import with_related
from training.queries.lookups import find_job, find_job_to_change
from training.queries.metric_series import curves_of, latest_values
from web.api import BadParameter, cursor_page
from web.idempotency.api import APIView
from web.validation.details import DetailsChange
from web.validation.values import parse_digits


def find_checkpoint(job: TrainingJob, checkpoint_id: str) -> Checkpoint:
    """One of the job's own. Raises BadParameter for anything else."""
    key = parse_digits(checkpoint_id, 18)
    checkpoint = None if key is None else job.checkpoints.filter(pk=key).first()
    if checkpoint is None:
        raise BadParameter("This job has no such checkpoint.", param="checkpoint")
    return checkpoint


class JobsEndpoint(APIView):
    @extend_schema(operation_id="list_training_jobs", responses=JobAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The team's fine-tunes, newest first; `?project=` and `?status=` narrow them."""
        jobs = TrainingJob.objects.visible_to(viewer_of(request)).filter(archived_at=None)
        for name in ("project", "status"):
            if value := request.query_params.get(name):
                jobs = jobs.filter(**{name: value})
        return cursor_page(request, with_related(jobs), JobAnswer().to_representation)

    @extend_schema(
        operation_id="launch_training_job", request=JobRequest, responses={201: OneJobAnswer}
    )
    def post(self, request: Request) -> Response:
        """Launch a fine-tune. What is left out takes the suggested mapping and defaults."""
        version, launch_request = _parse_launch_request(request)
        user = request.user
        assert isinstance(user, User)
        job = launch(
            dataset_version=version, user=user, request=launch_request, viewer=viewer_of(request)
        )
        return Response(OneJobAnswer(find_job(viewer_of(request), job.pk)).data, status=201)


class EstimateEndpoint(APIView):
    @extend_schema(
        operation_id="estimate_training_job", request=JobRequest, responses=EstimateAnswer
    )
    def post(self, request: Request) -> Response:
        """Will it fit, how long, how much; the body of a launch, and nothing is launched."""
        version, launch_request = _parse_launch_request(request)
        return Response(
            _serialize_estimate(estimate(dataset_version=version, request=launch_request))
        )


def _parse_launch_request(request: Request) -> tuple[DatasetVersion, LaunchRequest]:
    """The dataset version and launch request of a body; 404 for what the caller cannot see."""
    body = JobRequest(data=request.data)
    body.is_valid(raise_exception=True)
    viewer = viewer_of(request)
    project = get_object_or_404(
        Project.objects.visible_to(viewer), pk=body.validated_data["project"]
    )
    require_permission(viewer, project.team, "write")
    dataset = get_object_or_404(
        Dataset.objects.visible_to(viewer).filter(project=project),
        pk=body.validated_data["dataset"],
    )
    version_id = body.validated_data.get("dataset_version")
    version = find_version(dataset, version_id) if version_id else newest_ready_version(dataset)
    return version, body.to_launch_request()


def _serialize_estimate(expected: Estimate) -> dict[str, object]:
    inspection = expected.inspection
    is_usable = inspection is not None and inspection.refusal is None
    return {
        "fits": expected.fits,
        "allowed": expected.allowed,
        "seconds": {"low": expected.seconds_low, "high": expected.seconds_high},
        "cost_micros": {"low": expected.cost_low_micro, "high": expected.announced_micro},
        "memory_bytes": expected.memory_bytes,
        "available_bytes": expected.available_bytes,
        "reasons": expected.reasons,
        "sentence": expected.sentence,
        "data": InspectionAnswer(inspection).data if is_usable else None,
    }


class JobEndpoint(APIView):
    @extend_schema(operation_id="get_training_job", responses=OneJobAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """One fine-tune as it is now."""
        return Response(OneJobAnswer(find_job(viewer_of(request), job_id)).data)

    @extend_schema(
        operation_id="change_training_job", request=DetailsChange, responses=OneJobAnswer
    )
    def patch(self, request: Request, job_id: UUID) -> Response:
        """Give the fine-tune another name, tags or notes; its model keeps its own."""
        viewer = viewer_of(request)
        job = find_job_to_change(viewer, job_id)
        body = DetailsChange(data=request.data)
        body.is_valid(raise_exception=True)
        removal.change_details(job, body.details_of(job), viewer)
        return Response(OneJobAnswer(find_job(viewer, job_id)).data)

    @extend_schema(operation_id="archive_training_job", responses=OneJobAnswer)
    def delete(self, request: Request, job_id: UUID) -> Response:
        """Move a finished fine-tune to the trash for 30 days; its model stays. 409 while it is
        under way or in use."""
        return _apply_action(removal.archive, request, job_id)


class RestoreEndpoint(APIView):
    @extend_schema(operation_id="restore_training_job", request=None, responses=OneJobAnswer)
    def post(self, request: Request, job_id: UUID) -> Response:
        """Bring the fine-tune back from the trash. 410 after 30 days."""
        return _apply_action(removal.restore, request, job_id)


class EventsEndpoint(APIView):
    @extend_schema(operation_id="list_training_job_events", responses=EventAnswer(many=True))
    def get(self, request: Request, job_id: UUID) -> Response:
        """What has happened, newest first."""
        events = find_job(viewer_of(request), job_id).events.all()
        return cursor_page(request, events, EventAnswer().to_representation, order="-id")


class MetricsEndpoint(APIView):
    @extend_schema(operation_id="get_training_job_metrics", responses=MetricsAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """Measured values over the steps, without what a lost attempt measured in vain. Of a
        curve over more than 1,000 steps, each stretch's lowest and highest point."""
        job = find_job(viewer_of(request), job_id)
        curves = curves_of(job)
        return Response(
            {
                "object": "training_job.metrics",
                "metrics": {name: curve.points for name, curve in curves.items()},
                "measured": {name: curve.measured for name, curve in curves.items()},
                "latest": latest_values(job),
            }
        )


class PointsEndpoint(APIView):
    @extend_schema(operation_id="list_training_job_points", responses=PointAnswer(many=True))
    def get(self, request: Request, job_id: UUID, name: str) -> Response:
        """Every value of one metric that was ever measured, page by page, in order of steps."""
        points = find_job(viewer_of(request), job_id).metrics.filter(name=name)
        return cursor_page(request, points, PointAnswer().to_representation, order="step")


class TrialsEndpoint(APIView):
    @extend_schema(operation_id="list_training_job_trials", responses=TrialAnswer(many=True))
    def get(self, request: Request, job_id: UUID) -> Response:
        """The trials of the job's search, in their order."""
        trials = find_job(viewer_of(request), job_id).trials.all()
        return cursor_page(request, trials, TrialAnswer().to_representation, order="number")


class CheckpointsEndpoint(APIView):
    @extend_schema(
        operation_id="list_training_job_checkpoints", responses=CheckpointAnswer(many=True)
    )
    def get(self, request: Request, job_id: UUID) -> Response:
        """Saved states from which any machine can go on, newest first."""
        saved = find_job(viewer_of(request), job_id).checkpoints.all()
        return cursor_page(request, saved, CheckpointAnswer().to_representation)


class CancelEndpoint(APIView):
    @extend_schema(operation_id="cancel_training_job", request=None, responses=OneJobAnswer)
    def post(self, request: Request, job_id: UUID) -> Response:
        """End it for good; the meter stops now. 409 when it is already over."""
        return _apply_action(actions.cancel, request, job_id)


class PauseEndpoint(APIView):
    @extend_schema(operation_id="pause_training_job", request=None, responses=OneJobAnswer)
    def post(self, request: Request, job_id: UUID) -> Response:
        """Stop for now with a checkpoint. 409 unless queued or running."""
        return _apply_action(actions.pause, request, job_id)


class ResumeEndpoint(APIView):
    @extend_schema(operation_id="resume_training_job", request=None, responses=OneJobAnswer)
    def post(self, request: Request, job_id: UUID) -> Response:
        """Queue a paused one again; it goes on from its last checkpoint. 409 unless paused."""
        return _apply_action(actions.resume, request, job_id)


class RetryEndpoint(APIView):
    @extend_schema(operation_id="retry_training_job", request=None, responses={201: OneJobAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """A new job with the same recipe. 409 unless it failed or was cancelled."""
        viewer = viewer_of(request)
        job = find_job_to_change(viewer, job_id)
        return _created_response(request, actions.retry(job, viewer))


class RestartEndpoint(APIView):
    @extend_schema(
        operation_id="restart_training_job", request=RestartRequest, responses={201: OneJobAnswer}
    )
    def post(self, request: Request, job_id: UUID) -> Response:
        """A new job that goes on from a checkpoint of an ended or paused one."""
        viewer = viewer_of(request)
        job = find_job_to_change(viewer, job_id)
        body = RestartRequest(data=request.data)
        body.is_valid(raise_exception=True)
        checkpoint = find_checkpoint(job, body.validated_data["checkpoint"])
        return _created_response(request, actions.restart(job, checkpoint, viewer))


class LogEndpoint(APIView):
    @extend_schema(operation_id="get_training_job_log", responses=LogAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """The end of the job's log."""
        return Response(LogAnswer({"text": find_job(viewer_of(request), job_id).log_tail}).data)


def _created_response(request: Request, job: TrainingJob) -> Response:
    return Response(OneJobAnswer(find_job(viewer_of(request), job.pk)).data, status=201)


def _apply_action(verb: Any, request: Request, job_id: UUID) -> Response:
    """The job after one verb on it."""
    viewer = viewer_of(request)
    job = find_job_to_change(viewer, job_id)
    verb(job, viewer)
    return Response(OneJobAnswer(find_job(viewer_of(request), job_id)).data)
