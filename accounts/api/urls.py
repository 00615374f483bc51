"""The API's addresses about people, tokens, notices and webhooks."""

from django.urls import path

from accounts.api import notifications, tokens
from accounts.api.me import MeEndpoint

WEBHOOK_PATH = "webhook-endpoints/<uuid:endpoint_id>"

urlpatterns = [
    path("me", MeEndpoint.as_view(), name="api-me"),
    path("tokens", tokens.TokensEndpoint.as_view(), name="api-tokens"),
    path("tokens/<uuid:token_id>", tokens.TokenEndpoint.as_view(), name="api-token"),
    path(
        "tokens/<uuid:token_id>/rotate",
        tokens.TokenRotationEndpoint.as_view(),
        name="api-rotate-token",
    ),
    path("notices", notifications.NoticesEndpoint.as_view(), name="api-notices"),
    path("webhook-endpoints", notifications.WebhookListEndpoint.as_view(), name="api-webhooks"),
    path(WEBHOOK_PATH, notifications.WebhookDetailEndpoint.as_view(), name="api-webhook"),
    path(
        f"{WEBHOOK_PATH}/rotate", notifications.WebhookRotateEndpoint.as_view(), name="api-rotate"
    ),
    path(
        f"{WEBHOOK_PATH}/test", notifications.WebhookTestEndpoint.as_view(), name="api-test-webhook"
    ),
    path(
        f"{WEBHOOK_PATH}/deliveries",
        notifications.DeliveriesEndpoint.as_view(),
        name="api-deliveries",
    ),
    path(
        "webhook-deliveries/<uuid:delivery_id>/send",
        notifications.RedeliverEndpoint.as_view(),
        name="api-redeliver",
    ),
]
