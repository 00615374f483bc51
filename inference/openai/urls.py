"""The control plane of /v1. Requests for answers never come here: the gateway takes them first."""

from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from inference.openai import batches, files, fine_tuning, permissions, together
from web.errors import error_body


@csrf_exempt
def unknown_url(request: HttpRequest) -> JsonResponse:
    """404 in the API's error shape, whatever the method."""
    sentence = f"There is no {request.method} {request.path[:100]}."
    return JsonResponse(error_body(sentence, code="unknown_url"), status=404)


_JOB = "fine_tuning/jobs/<str:job_id>"
_CHECKPOINT = "fine_tuning/checkpoints/<path:name>"
_FINE_TUNE = "fine-tunes/<str:job_id>"
urlpatterns = [
    path("files", files.FilesView.as_view()),
    path("files/<str:file_id>", files.FileView.as_view()),
    path("files/<str:file_id>/content", files.FileContentView.as_view()),
    path("uploads", files.UploadsView.as_view()),
    path("uploads/<str:upload_id>/parts", files.UploadPartsView.as_view()),
    path("uploads/<str:upload_id>/complete", files.UploadCompleteView.as_view()),
    path("uploads/<str:upload_id>/cancel", files.UploadCancelView.as_view()),
    path("fine_tuning/jobs", fine_tuning.JobsView.as_view()),
    path(_JOB, fine_tuning.JobView.as_view()),
    path(f"{_JOB}/events", fine_tuning.JobEventsView.as_view()),
    path(f"{_JOB}/checkpoints", fine_tuning.JobCheckpointsView.as_view()),
    *(
        path(f"{_JOB}/{action}", fine_tuning.JobActionView.as_view(), {"action": action})
        for action in fine_tuning.JobActionView.ACTIONS
    ),
    path(f"{_CHECKPOINT}/permissions", permissions.PermissionsView.as_view()),
    path(f"{_CHECKPOINT}/permissions/<str:permission_id>", permissions.PermissionView.as_view()),
    path("batches", batches.BatchesView.as_view()),
    path("batches/<str:batch_id>", batches.BatchView.as_view()),
    path("batches/<str:batch_id>/cancel", batches.BatchCancelView.as_view()),
    path("fine-tunes", together.FineTunesView.as_view()),
    path(_FINE_TUNE, together.FineTuneView.as_view()),
    path(f"{_FINE_TUNE}/cancel", together.FineTuneCancelView.as_view()),
    path(f"{_FINE_TUNE}/events", together.FineTuneEventsView.as_view()),
    path(f"{_FINE_TUNE}/metrics", together.FineTuneMetricsView.as_view()),
    re_path("", unknown_url),
]
