"""The API's addresses about money."""

from django.urls import path

from billing.api.plans import PlansEndpoint, SubscriptionEndpoint
from billing.api.usage import SegmentsEndpoint, StatementEndpoint, UsageEndpoint

urlpatterns = [
    path("plans", PlansEndpoint.as_view(), name="api-plans"),
    path("subscription", SubscriptionEndpoint.as_view(), name="api-subscription"),
    path("usage", UsageEndpoint.as_view(), name="api-usage"),
    path("usage/segments", SegmentsEndpoint.as_view(), name="api-usage-segments"),
    path("statement", StatementEndpoint.as_view(), name="api-statement"),
]
