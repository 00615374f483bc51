"""The API's addresses about money."""

from django.urls import path

from billing.api import endpoints

urlpatterns = [
    path("plans", endpoints.PlansEndpoint.as_view(), name="api-plans"),
    path("subscription", endpoints.SubscriptionEndpoint.as_view(), name="api-subscription"),
    path("usage", endpoints.UsageEndpoint.as_view(), name="api-usage"),
    path("usage/segments", endpoints.SegmentsEndpoint.as_view(), name="api-usage-segments"),
    path("statement", endpoints.StatementEndpoint.as_view(), name="api-statement"),
]
