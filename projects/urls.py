"""Pages about projects and datasets."""

from django.urls import path

from projects.views import curation, datasets, labelling, projects, removal, resumable

app_name = "projects"
urlpatterns = [
    path("home/", projects.home, name="home"),
    path("teams/<slug:slug>/", projects.overview, name="overview"),
    path("teams/<slug:slug>/projects/create/", projects.project_create, name="create-project"),
    path("teams/<slug:slug>/datasets/", projects.dataset_list, name="datasets"),
    path("projects/<uuid:project_id>/", projects.project_detail, name="project"),
    path("projects/<uuid:project_id>/rename/", projects.project_rename, name="rename-project"),
    path("projects/<uuid:project_id>/archive/", projects.project_archive, name="archive-project"),
    path("projects/<uuid:project_id>/restore/", projects.project_restore, name="restore-project"),
    path("projects/<uuid:project_id>/upload/", datasets.dataset_upload, name="upload"),
    path("projects/<uuid:project_id>/uploads/", resumable.begin, name="resumable-uploads"),
    path(
        "projects/<uuid:project_id>/uploads/<uuid:upload_id>/",
        resumable.upload,
        name="resumable-upload",
    ),
    path("datasets/<uuid:dataset_id>/", datasets.dataset_detail, name="dataset"),
    path("datasets/<uuid:dataset_id>/rename/", removal.dataset_rename, name="rename-dataset"),
    path("datasets/<uuid:dataset_id>/archive/", removal.dataset_archive, name="archive-dataset"),
    path("datasets/<uuid:dataset_id>/restore/", removal.dataset_restore, name="restore-dataset"),
    path("datasets/<uuid:dataset_id>/status/", datasets.dataset_status, name="dataset-status"),
    path("datasets/<uuid:dataset_id>/live/", datasets.dataset_events, name="dataset-live"),
    path(
        "datasets/<uuid:dataset_id>/import-again/", datasets.dataset_reimport, name="import-again"
    ),
    path("datasets/<uuid:dataset_id>/edit/", curation.dataset_edit, name="edit-rows"),
    path("datasets/<uuid:dataset_id>/compare/", curation.dataset_compare, name="compare-versions"),
    path(
        "datasets/<uuid:dataset_id>/export/<slug:file_format>/",
        curation.dataset_export,
        name="export",
    ),
    path("datasets/<uuid:dataset_id>/label/", labelling.label_page, name="label"),
    path("datasets/<uuid:dataset_id>/label/save/", labelling.label_save, name="label-save"),
    path("datasets/<uuid:dataset_id>/mask/", datasets.dataset_mask, name="mask"),
    path("datasets/<uuid:dataset_id>/fix/", datasets.dataset_fix, name="fix"),
    path("datasets/<uuid:dataset_id>/reading/", datasets.dataset_reading, name="reading"),
    path(
        "datasets/<uuid:dataset_id>/pictures/<int:row>/", datasets.dataset_thumbnail, name="picture"
    ),
    path("datasets/<uuid:dataset_id>/rejects.csv", datasets.dataset_rejects, name="rejects"),
]
