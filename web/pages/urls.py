"""The pages that belong to no app. These names carry no namespace."""

from django.urls import path
from django.views.generic import RedirectView

from web.pages import views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("docs/", views.docs, name="docs"),
    path("docs/<slug:slug>/", views.doc, name="doc"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    # Rates are billing's, so the page at /pricing/ is too; this gives it a short name.
    path("prices/", RedirectView.as_view(pattern_name="billing:pricing"), name="pricing"),
]
