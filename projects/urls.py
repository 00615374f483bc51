"""Pages about projects and datasets."""

from django.urls import path

from projects import views, views_datasets

app_name = "projects"
urlpatterns = [
    path("home/", views.home, name="home"),
    path("teams/<slug:slug>/", views.overview, name="overview"),
    path("teams/<slug:slug>/projects/create/", views.create_project, name="create-project"),
    path("teams/<slug:slug>/datasets/", views.datasets, name="datasets"),
    path("projects/<uuid:project_id>/", views.project, name="project"),
    path("projects/<uuid:project_id>/archive/", views.archive, name="archive-project"),
    path("projects/<uuid:project_id>/upload/", views_datasets.upload, name="upload"),
    path("datasets/<uuid:dataset_id>/", views_datasets.dataset, name="dataset"),
    path(
        "datasets/<uuid:dataset_id>/status/", views_datasets.dataset_status, name="dataset-status"
    ),
    path("datasets/<uuid:dataset_id>/live/", views_datasets.dataset_live, name="dataset-live"),
    path("datasets/<uuid:dataset_id>/import-again/", views_datasets.reimport, name="import-again"),
    path("datasets/<uuid:dataset_id>/mask/", views_datasets.mask, name="mask"),
    path("datasets/<uuid:dataset_id>/pictures/<int:row>/", views_datasets.picture, name="picture"),
    path("datasets/<uuid:dataset_id>/rejects.csv", views_datasets.rejects, name="rejects"),
]
