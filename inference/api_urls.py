"""The API's addresses about deployments."""

from django.urls import path

from inference.api import DeploymentEndpoint, DeploymentsEndpoint, FeedbackEndpoint

urlpatterns = [
    path("deployments", DeploymentsEndpoint.as_view(), name="api-deployments"),
    path("deployments/<uuid:deployment_id>", DeploymentEndpoint.as_view(), name="api-deployment"),
    path("feedback", FeedbackEndpoint.as_view(), name="api-feedback"),
]
