"""Mounted under /api/v1/."""

from django.urls import path

from projects.api import curation, datasets, projects, readings, rows

DATASET = "datasets/<uuid:dataset_id>"
urlpatterns = [
    path("projects", projects.ProjectsEndpoint.as_view(), name="api-projects"),
    path("projects/<uuid:project_id>", projects.ProjectEndpoint.as_view(), name="api-project"),
    path(
        "projects/<uuid:project_id>/restore",
        projects.ProjectRestoreEndpoint.as_view(),
        name="api-restore-project",
    ),
    path("datasets", datasets.DatasetsEndpoint.as_view(), name="api-datasets"),
    path("datasets/<uuid:dataset_id>", datasets.DatasetEndpoint.as_view(), name="api-dataset"),
    path(
        "datasets/<uuid:dataset_id>/restore",
        datasets.RestoreEndpoint.as_view(),
        name="api-restore-dataset",
    ),
    path("datasets/<uuid:dataset_id>/rows", rows.RowsEndpoint.as_view(), name="api-rows"),
    path("datasets/<uuid:dataset_id>/edits", rows.EditsEndpoint.as_view(), name="api-edits"),
    path("datasets/<uuid:dataset_id>/export", rows.ExportEndpoint.as_view(), name="api-export"),
    path(f"{DATASET}/versions", curation.VersionsEndpoint.as_view(), name="api-versions"),
    path(f"{DATASET}/profile", curation.ProfileEndpoint.as_view(), name="api-profile"),
    path(f"{DATASET}/compare", curation.ComparisonEndpoint.as_view(), name="api-compare"),
    path(f"{DATASET}/mask", curation.MaskEndpoint.as_view(), name="api-mask"),
    path(f"{DATASET}/fix", curation.FixEndpoint.as_view(), name="api-fix"),
    path(f"{DATASET}/questions", readings.QuestionsEndpoint.as_view(), name="api-questions"),
    path(f"{DATASET}/import-options", readings.OptionsEndpoint.as_view(), name="api-options"),
    path(
        "datasets/<uuid:dataset_id>/readings",
        readings.ReadingsEndpoint.as_view(),
        name="api-readings",
    ),
    path(
        "datasets/<uuid:dataset_id>/rejects", datasets.RejectsEndpoint.as_view(), name="api-rejects"
    ),
]
