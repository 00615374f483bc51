from django.urls import path

from training.api import exports, jobs, models

urlpatterns = [
    path("training-jobs", jobs.JobsEndpoint.as_view()),
    path("training-jobs/estimate", jobs.EstimateEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>", jobs.JobEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/events", jobs.EventsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/metrics", jobs.MetricsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/metrics/<str:name>", jobs.PointsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/trials", jobs.TrialsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/checkpoints", jobs.CheckpointsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/cancel", jobs.CancelEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/pause", jobs.PauseEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/resume", jobs.ResumeEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/retry", jobs.RetryEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/restart", jobs.RestartEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/restore", jobs.RestoreEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/log", jobs.LogEndpoint.as_view()),
    path("models/compare", models.CompareEndpoint.as_view()),
    path("models", models.ModelsEndpoint.as_view()),
    path("models/<uuid:model_id>", models.ModelEndpoint.as_view()),
    path("models/<uuid:model_id>/restore", models.RestoreEndpoint.as_view()),
    path("models/<uuid:model_id>/evaluation", models.EvaluationEndpoint.as_view()),
    path("models/<uuid:model_id>/exports", exports.ExportsEndpoint.as_view()),
    path("models/<uuid:model_id>/analyses", models.AnalysesEndpoint.as_view()),
    path("models/<uuid:model_id>/download", models.DownloadEndpoint.as_view()),
]
