"""The API's addresses about people, tokens, notices and webhooks."""

from django.urls import path

from accounts import api_notices as notices
from accounts.api import MeEndpoint

ENDPOINT = "webhook-endpoints/<uuid:endpoint_id>"

urlpatterns = [
    path("me", MeEndpoint.as_view(), name="api-me"),
    path("notices", notices.NoticesEndpoint.as_view(), name="api-notices"),
    path("webhook-endpoints", notices.EndpointsEndpoint.as_view(), name="api-webhooks"),
    path(ENDPOINT, notices.EndpointEndpoint.as_view(), name="api-webhook"),
    path(f"{ENDPOINT}/rotate", notices.EndpointRotateEndpoint.as_view(), name="api-rotate"),
    path(f"{ENDPOINT}/test", notices.EndpointTestEndpoint.as_view(), name="api-test-webhook"),
    path(f"{ENDPOINT}/deliveries", notices.DeliveriesEndpoint.as_view(), name="api-deliveries"),
    path(
        "webhook-deliveries/<uuid:delivery_id>/send",
        notices.RedeliverEndpoint.as_view(),
        name="api-redeliver",
    ),
]
