"""Every URL, by the app that owns it."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

api = [
    path("", include("accounts.api_urls")),
    path("", include("projects.api_urls")),
    path("", include("billing.api_urls")),
    path("", include("training.api_urls")),
    path("", include("inference.api_urls")),
]
urlpatterns = [
    path("", include("web.urls")),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("projects.urls")),
    path("", include("billing.urls")),
    path("", include("training.urls")),
    path("", include("inference.urls")),
    path("api/v1/", include(api)),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("v1/", include("inference.v1_urls")),
    path("admin/", admin.site.urls),
]
handler400 = "web.views.bad_request"
handler403 = "web.views.forbidden"
handler404 = "web.views.not_found"
handler500 = "web.views.server_error"
