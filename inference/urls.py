"""Addresses of pages and fragments."""

from django.urls import path

from inference.views import (
    answering_place,
    deployments,
    drift,
    promotion,
    requests,
    sample_data,
    scheduled_deployments,
    search,
    tables,
    trash,
)

app_name = "inference"
urlpatterns = [
    path("teams/<slug:slug>/deployments/", deployments.deployment_list, name="deployments"),
    path("deployments/<uuid:deployment_id>/", deployments.deployment_detail, name="deployment"),
    path("deployments/<uuid:deployment_id>/ask/", deployments.playground, name="ask"),
    path("deployments/<uuid:deployment_id>/chat/", deployments.chat, name="chat"),
    path("deployments/<uuid:deployment_id>/activity/", deployments.activity, name="activity"),
    path(
        "deployments/<uuid:deployment_id>/answering-place/",
        answering_place.answering_place,
        name="answering-place",
    ),
    path("deployments/<uuid:deployment_id>/drift/", drift.drift, name="drift"),
    path("deployments/<uuid:deployment_id>/requests/", requests.request_list, name="requests"),
    path(
        "deployments/<uuid:deployment_id>/requests/dataset/",
        requests.to_dataset,
        name="requests-dataset",
    ),
    path(
        "deployments/<uuid:deployment_id>/requests/retention/",
        requests.retention,
        name="requests-retention",
    ),
    path(
        "deployments/<uuid:deployment_id>/requests/<str:request_id>/feedback/",
        requests.judge,
        name="judge-request",
    ),
    path("deployments/<uuid:deployment_id>/traffic.json", deployments.traffic_json, name="traffic"),
    path("deployments/<uuid:deployment_id>/tables/", tables.begin, name="ask-table"),
    path("deployments/<uuid:deployment_id>/tables/progress/", tables.progress, name="tables"),
    path("tables/<uuid:prediction_id>/cancel/", tables.cancel, name="cancel-table"),
    path("tables/<uuid:prediction_id>/answers.csv", tables.download, name="table-answers"),
    path(
        "deployments/<uuid:deployment_id>/corrections/",
        deployments.learn_from_feedback,
        name="learn-corrections",
    ),
    path("deployments/<uuid:deployment_id>/move/", deployments.move, name="move"),
    path("deployments/<uuid:deployment_id>/try/", deployments.try_model, name="try"),
    path(
        "deployments/<uuid:deployment_id>/end-canary/",
        deployments.end_trial,
        {"kind": "canary"},
        name="end-canary",
    ),
    path(
        "deployments/<uuid:deployment_id>/end-shadow/",
        deployments.end_trial,
        {"kind": "shadow"},
        name="end-shadow",
    ),
    path("deployments/<uuid:deployment_id>/roll-back/", deployments.roll_back, name="roll-back"),
    path("deployments/<uuid:deployment_id>/retire/", deployments.retire, name="retire"),
    path("deployments/<uuid:deployment_id>/restore/", deployments.restore, name="restore"),
    path("teams/<slug:slug>/trash/", trash.trash, name="trash"),
    path("teams/<slug:slug>/sample-data/", sample_data.use_sample_data, name="sample-data"),
    path("teams/<slug:slug>/search/", search.search_page, name="search"),
    path(
        "deployments/<uuid:deployment_id>/promotion/",
        promotion.promotion_rule,
        name="promotion",
    ),
    path("models/<uuid:model_id>/deploy/", deployments.deploy, name="deploy"),
    path(
        "projects/<uuid:project_id>/deployments/",
        deployments.project_deployments,
        name="project-deployments",
    ),
    path(
        "jobs/<uuid:job_id>/deployment-plan/",
        scheduled_deployments.scheduled_deployment,
        name="deployment-plan",
    ),
]
