"""The API's addresses about deployments."""

from django.urls import path

from inference import api_promotion
from inference.api import DeploymentEndpoint, DeploymentsEndpoint, FeedbackEndpoint

urlpatterns = [
    path("deployments", DeploymentsEndpoint.as_view(), name="api-deployments"),
    path("deployments/<uuid:deployment_id>", DeploymentEndpoint.as_view(), name="api-deployment"),
    path("deployments/<uuid:deployment_id>/promotion-rule", api_promotion.RuleEndpoint.as_view()),
    path(
        "deployments/<uuid:deployment_id>/promotion-verdicts",
        api_promotion.VerdictsEndpoint.as_view(),
    ),
    path("feedback", FeedbackEndpoint.as_view(), name="api-feedback"),
]
