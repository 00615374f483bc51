from django.urls import path

from training import (
    analysis_pages,
    compare_pages,
    export_pages,
    job_pages,
    launch_pages,
    model_pages,
)

app_name = "training"
urlpatterns = [
    path("teams/<slug:slug>/jobs/", job_pages.jobs, name="jobs"),
    path("teams/<slug:slug>/jobs/recent/", job_pages.recent, name="recent"),
    path("projects/<uuid:project_id>/jobs/list/", job_pages.project_jobs, name="project-jobs"),
    path("jobs/<uuid:job_id>/", job_pages.job, name="job"),
    path("jobs/<uuid:job_id>/status/", job_pages.job_status, name="job-status"),
    path("jobs/<uuid:job_id>/events/", job_pages.job_events, name="job-events"),
    path("jobs/<uuid:job_id>/live/", job_pages.job_live, name="job-live"),
    path("jobs/<uuid:job_id>/metrics.json", job_pages.job_metrics, name="job-metrics"),
    path("jobs/<uuid:job_id>/metrics.csv", job_pages.job_metrics_csv, name="job-metrics-csv"),
    path("jobs/<uuid:job_id>/cancel/", job_pages.cancel_job, name="cancel-job"),
    path("jobs/<uuid:job_id>/pause/", job_pages.pause_job, name="pause-job"),
    path("jobs/<uuid:job_id>/resume/", job_pages.resume_job, name="resume-job"),
    path("jobs/<uuid:job_id>/retry/", job_pages.retry_job, name="retry-job"),
    path(
        "jobs/<uuid:job_id>/restart/<int:checkpoint_id>/", job_pages.restart_job, name="restart-job"
    ),
    path("jobs/<uuid:job_id>/log/", job_pages.job_log, name="job-log"),
    path("jobs/<uuid:job_id>/log.txt", job_pages.download_log, name="download-log"),
    path("datasets/<uuid:dataset_id>/launch/", launch_pages.launch_page, name="launch"),
    path("datasets/<uuid:dataset_id>/estimate/", launch_pages.estimate_fragment, name="estimate"),
    path("datasets/<uuid:dataset_id>/rows/", launch_pages.rows_fragment, name="launch-rows"),
    path("teams/<slug:slug>/models/", model_pages.models_page, name="models"),
    path("models/compare/", compare_pages.compare_page, name="compare"),
    path("models/<uuid:model_id>/", model_pages.model_page, name="model"),
    path("models/<uuid:model_id>/groups/", analysis_pages.groups, name="model-groups"),
    path("models/<uuid:model_id>/explain/", analysis_pages.explain, name="model-explain"),
    path("models/<uuid:model_id>/exports/", export_pages.model_exports, name="model-exports"),
    path("models/<uuid:model_id>/rows/", model_pages.model_rows, name="model-rows"),
    path("models/<uuid:model_id>/report.json", model_pages.report_json, name="model-report"),
    path("models/<uuid:model_id>/download/", model_pages.download_model, name="download-model"),
]
