"""Mounted under /api/v1/."""

from django.urls import path

from projects.api import datasets, rows

urlpatterns = [
    path("projects", datasets.ProjectsEndpoint.as_view(), name="api-projects"),
    path("datasets", datasets.DatasetsEndpoint.as_view(), name="api-datasets"),
    path("datasets/<uuid:dataset_id>", datasets.DatasetEndpoint.as_view(), name="api-dataset"),
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
