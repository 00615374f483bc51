from django.urls import path

from training import api, api_exports, api_models

urlpatterns = [
    path("training-jobs", api.JobsEndpoint.as_view()),
    path("training-jobs/estimate", api.EstimateEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>", api.JobEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/events", api.EventsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/metrics", api.MetricsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/metrics/<str:name>", api.PointsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/trials", api.TrialsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/checkpoints", api.CheckpointsEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/cancel", api.CancelEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/pause", api.PauseEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/resume", api.ResumeEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/retry", api.RetryEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/restart", api.RestartEndpoint.as_view()),
    path("training-jobs/<uuid:job_id>/log", api.LogEndpoint.as_view()),
    path("models/compare", api_models.CompareEndpoint.as_view()),
    path("models", api_models.ModelsEndpoint.as_view()),
    path("models/<uuid:model_id>", api_models.ModelEndpoint.as_view()),
    path("models/<uuid:model_id>/evaluation", api_models.EvaluationEndpoint.as_view()),
    path("models/<uuid:model_id>/exports", api_exports.ExportsEndpoint.as_view()),
    path("models/<uuid:model_id>/analyses", api_models.AnalysesEndpoint.as_view()),
    path("models/<uuid:model_id>/download", api_models.DownloadEndpoint.as_view()),
]
