"""The API's addresses about deployments."""

from django.urls import path

from inference.api import deployments, promotion
from inference.api.deployments import DeploymentEndpoint, DeploymentsEndpoint, FeedbackEndpoint
from inference.api.drift import DriftEndpoint

urlpatterns = [
    path("deployments", DeploymentsEndpoint.as_view(), name="api-deployments"),
    path("deployments/<uuid:deployment_id>", DeploymentEndpoint.as_view(), name="api-deployment"),
    path("deployments/<uuid:deployment_id>/rollout", deployments.RolloutEndpoint.as_view()),
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
    path("feedback", FeedbackEndpoint.as_view(), name="api-feedback"),
]
