"""The API's addresses about people and tokens."""

from django.urls import path

from accounts.api import MeEndpoint

urlpatterns = [path("me", MeEndpoint.as_view(), name="api-me")]
