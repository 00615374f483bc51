"""Mounted under /api/v1/."""

from django.urls import path

from projects.api import datasets, projects, rows

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
    path(
        "datasets/<uuid:dataset_id>/readings",
        datasets.ReadingsEndpoint.as_view(),
        name="api-readings",
    ),
    path(
        "datasets/<uuid:dataset_id>/rejects", datasets.RejectsEndpoint.as_view(), name="api-rejects"
    ),
]
