"""Every URL, by the app that owns it."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from accounts.views.email import EmailView
from accounts.views.second_factor import SecondFactorView
from config import monitoring
from config.status_page import status_page
from web.language.operators import translate_site
from web.reference.views import ApiSchemaView

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Lathe"
admin.site.index_title = "Operators"
translate_site(admin.site)
# Administrators sign in like everybody else: with the same rate limits and the same second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

api = [
    path("", include("accounts.api.urls")),
    path("", include("projects.api.urls")),
    path("", include("billing.api.urls")),
    path("", include("training.api.urls")),
    path("", include("inference.api.urls")),
    path("", include("assistants.api.urls")),
]
urlpatterns = [
    path("", include("web.pages.urls")),
    path("accounts/email/", EmailView.as_view(), name="account_email"),
    path("accounts/2fa/", SecondFactorView.as_view(), name="mfa_index"),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("projects.urls")),
    path("", include("billing.urls")),
    path("", include("training.urls")),
    path("", include("inference.urls")),
    path("", include("assistants.urls")),
    path("", include("assistants.api.consult_urls")),  # Before /v1, which refuses the rest.
    path("api/v1/", include(api)),
    path("api/schema/", ApiSchemaView.as_view(), name="api-schema"),
    # The variant without an inline script, which the Content-Security-Policy forbids.
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(
            url_name="api-schema", template_name="web/api_reference.html"
        ),
        name="api-docs",
    ),
    path("v1/", include("inference.openai.urls")),
    path("status/", status_page, name="status"),
    path("metrics", monitoring.metrics, name="metrics"),
    path("admin/queues/", monitoring.queues_page, name="admin-queues"),
    path("admin/", admin.site.urls),
]
handler400 = "web.pages.views.bad_request"
handler403 = "web.pages.views.forbidden"
handler404 = "web.pages.views.not_found"
handler500 = "web.pages.views.server_error"
