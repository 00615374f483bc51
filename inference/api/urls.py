"""The API's addresses about deployments."""

from django.urls import path

from inference.api import deployments, promotion, requests
from inference.api.deployments import DeploymentEndpoint, DeploymentsEndpoint, FeedbackEndpoint
from inference.api.drift import DriftEndpoint
from inference.api.trash import TrashEndpoint

urlpatterns = [
    path("deployments", DeploymentsEndpoint.as_view(), name="api-deployments"),
    path("deployments/<uuid:deployment_id>", DeploymentEndpoint.as_view(), name="api-deployment"),
    path("deployments/<uuid:deployment_id>/rollout", deployments.RolloutEndpoint.as_view()),
    path("deployments/<uuid:deployment_id>/restore", deployments.RestoreEndpoint.as_view()),
    path("deployments/<uuid:deployment_id>/drift", DriftEndpoint.as_view(), name="api-drift"),
    path("deployments/<uuid:deployment_id>/canary", deployments.CanaryEndpoint.as_view()),
    path("deployments/<uuid:deployment_id>/shadow", deployments.ShadowEndpoint.as_view()),
    path("deployments/<uuid:deployment_id>/rollback", deployments.RollbackEndpoint.as_view()),
    path(
        "deployments/<uuid:deployment_id>/promotion-rule", promotion.PromotionRuleEndpoint.as_view()
    ),
    path(
        "deployments/<uuid:deployment_id>/promotion-verdicts",
        promotion.PromotionVerdictsEndpoint.as_view(),
    ),
    path(
        "deployments/<uuid:deployment_id>/requests",
        requests.RequestsEndpoint.as_view(),
        name="api-requests",
    ),
    path(
        "deployments/<uuid:deployment_id>/requests/dataset",
        requests.DatasetOfRequestsEndpoint.as_view(),
        name="api-requests-dataset",
    ),
    path(
        "deployments/<uuid:deployment_id>/request-log",
        requests.RetentionEndpoint.as_view(),
        name="api-request-log",
    ),
    path("trash", TrashEndpoint.as_view(), name="api-trash"),
    path("feedback", FeedbackEndpoint.as_view(), name="api-feedback"),
]
