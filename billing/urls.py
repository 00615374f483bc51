"""Pages about money."""

from django.urls import path

from billing import views

app_name = "billing"
urlpatterns = [
    path("pricing/", views.pricing, name="pricing"),
    path("teams/<slug:slug>/usage/", views.usage, name="usage"),
    path("teams/<slug:slug>/usage/statement/", views.statement, name="statement"),
    path("teams/<slug:slug>/usage/export.csv", views.usage_csv, name="usage-csv"),
    path("teams/<slug:slug>/cap/", views.cap, name="cap"),
    path("teams/<slug:slug>/month/", views.month, name="month"),
]
