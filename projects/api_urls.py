"""Mounted under /api/v1/."""

from django.urls import path

from projects import api

urlpatterns = [
    path("projects", api.ProjectsEndpoint.as_view(), name="api-projects"),
    path("datasets", api.DatasetsEndpoint.as_view(), name="api-datasets"),
    path("datasets/<uuid:dataset_id>", api.DatasetEndpoint.as_view(), name="api-dataset"),
    path("datasets/<uuid:dataset_id>/rejects", api.RejectsEndpoint.as_view(), name="api-rejects"),
]
