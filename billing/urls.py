"""Pages about money."""

from django.urls import path

from billing.stripe.webhooks import views as webhook_views
from billing.views import plan, usage

app_name = "billing"
urlpatterns = [
    path("pricing/", usage.pricing, name="pricing"),
    path("teams/<slug:slug>/usage/", usage.usage, name="usage"),
    path("teams/<slug:slug>/usage/statement/", usage.statement, name="statement"),
    path("teams/<slug:slug>/usage/projects/", usage.usage_by_project, name="usage-projects"),
    path("teams/<slug:slug>/usage/export.csv", usage.usage_csv, name="usage-csv"),
    path("teams/<slug:slug>/plan/", plan.plan, name="plan"),
    path("teams/<slug:slug>/plan/next-invoice/", plan.next_invoice, name="next-invoice"),
    path("teams/<slug:slug>/plan/end/", plan.cancel_plan, name="end-plan"),
    path("teams/<slug:slug>/plan/keep/", plan.undo_cancellation, name="keep-plan"),
    path("teams/<slug:slug>/plan/paid/", plan.paid, name="paid"),
    path("teams/<slug:slug>/plan/portal/", plan.portal, name="portal"),
    path("teams/<slug:slug>/plan/top-up/", plan.top_up, name="top-up"),
    path("teams/<slug:slug>/plan/to/<slug:code>/", plan.choose_plan, name="choose-plan"),
    path("stripe/webhook/", webhook_views.snapshot, name="stripe-webhook"),
    path("stripe/webhook/thin/", webhook_views.thin, name="stripe-thin-webhook"),
    path("teams/<slug:slug>/usage/invoices/", usage.invoices, name="invoices"),
    path("teams/<slug:slug>/usage/invoice/", usage.invoice, name="invoice"),
    path("teams/<slug:slug>/usage/details/", usage.details, name="details"),
    path("teams/<slug:slug>/usage/release/", usage.release_hold, name="release-hold"),
    path("teams/<slug:slug>/cap/", usage.cap, name="cap"),
    path("teams/<slug:slug>/month/", usage.month, name="month"),
]
