"""Addresses of pages and fragments."""

from django.urls import path

from inference import pages, plan_pages, promotion_pages

app_name = "inference"
urlpatterns = [
    path("teams/<slug:slug>/deployments/", pages.deployments, name="deployments"),
    path("deployments/<uuid:deployment_id>/", pages.deployment, name="deployment"),
    path("deployments/<uuid:deployment_id>/ask/", pages.playground, name="ask"),
    path("deployments/<uuid:deployment_id>/activity/", pages.activity, name="activity"),
    path("deployments/<uuid:deployment_id>/move/", pages.move, name="move"),
    path("deployments/<uuid:deployment_id>/retire/", pages.retire, name="retire"),
    path(
        "deployments/<uuid:deployment_id>/promotion/",
        promotion_pages.promotion_rule,
        name="promotion",
    ),
    path("models/<uuid:model_id>/deploy/", pages.deploy, name="deploy"),
    path("models/<uuid:model_id>/deployments/", pages.model_deployments, name="model-deployments"),
    path(
        "projects/<uuid:project_id>/deployments/",
        pages.project_deployments,
        name="project-deployments",
    ),
    path("jobs/<uuid:job_id>/deployment-plan/", plan_pages.deployment_plan, name="deployment-plan"),
]
