"""Pages about money."""

from django.urls import path

from billing import invoice_views, views, views_plan
from billing.webhooks import views as webhook_views

app_name = "billing"
urlpatterns = [
    path("pricing/", views.pricing, name="pricing"),
    path("teams/<slug:slug>/usage/", views.usage, name="usage"),
    path("teams/<slug:slug>/usage/statement/", views.statement, name="statement"),
    path("teams/<slug:slug>/usage/export.csv", views.usage_csv, name="usage-csv"),
    path("teams/<slug:slug>/plan/", views_plan.plan, name="plan"),
    path("teams/<slug:slug>/plan/next-invoice/", views_plan.next_invoice, name="next-invoice"),
    path("teams/<slug:slug>/plan/end/", views_plan.end, name="end-plan"),
    path("teams/<slug:slug>/plan/keep/", views_plan.keep, name="keep-plan"),
    path("teams/<slug:slug>/plan/paid/", views_plan.paid, name="paid"),
    path("teams/<slug:slug>/plan/portal/", views_plan.portal, name="portal"),
    path("teams/<slug:slug>/plan/top-up/", views_plan.top_up, name="top-up"),
    path("teams/<slug:slug>/plan/to/<slug:code>/", views_plan.choose, name="choose-plan"),
    path("stripe/webhook/", webhook_views.snapshot, name="stripe-webhook"),
    path("stripe/webhook/thin/", webhook_views.thin, name="stripe-thin-webhook"),
    path("teams/<slug:slug>/usage/invoices/", invoice_views.invoices, name="invoices"),
    path("teams/<slug:slug>/usage/invoice/", invoice_views.invoice, name="invoice"),
    path("teams/<slug:slug>/usage/details/", invoice_views.details, name="details"),
    path("teams/<slug:slug>/usage/release/", views.release_hold, name="release-hold"),
    path("teams/<slug:slug>/cap/", views.cap, name="cap"),
    path("teams/<slug:slug>/month/", views.month, name="month"),
]
