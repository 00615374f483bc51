"""Pages about people, teams and tokens."""

from django.urls import path

from accounts import views, views_members, views_notices, views_settings, views_webhooks

app_name = "accounts"
urlpatterns = [
    path("teams/<slug:slug>/tokens/", views.tokens, name="tokens"),
    path("teams/<slug:slug>/tokens/create/", views.create_token, name="create-token"),
    path("tokens/<uuid:token_id>/revoke/", views.revoke_token, name="revoke-token"),
    path("teams/<slug:slug>/audit/", views.audit_log, name="audit"),
    path("teams/<slug:slug>/members/", views_members.members, name="members"),
    path("teams/<slug:slug>/members/invite/", views_members.invite, name="invite"),
    path("teams/<slug:slug>/rename/", views_members.rename, name="rename-team"),
    path("members/<int:member_id>/role/", views_members.role, name="role"),
    path("members/<int:member_id>/remove/", views_members.remove, name="remove"),
    path("invitations/<uuid:invitation_id>/withdraw/", views_members.withdraw, name="withdraw"),
    path("join/<str:secret>/", views_members.accept, name="accept"),
    path("settings/", views_settings.settings, name="settings"),
    path("settings/teams/", views_settings.create_team, name="create-team"),
    path("settings/sessions/", views_settings.sign_out_elsewhere, name="sign-out-elsewhere"),
    path("teams/<slug:slug>/notices/", views_notices.notices, name="notices"),
    path("teams/<slug:slug>/notices/rows/", views_notices.notice_rows, name="notice-rows"),
    path("teams/<slug:slug>/notices/bell/", views_notices.bell, name="bell"),
    path("teams/<slug:slug>/notices/live/", views_notices.notices_live, name="notices-live"),
    path("teams/<slug:slug>/notices/read/", views_notices.read_notices, name="read-notices"),
    path(
        "teams/<slug:slug>/notices/settings/",
        views_notices.notice_settings,
        name="notice-settings",
    ),
    path("notices/<uuid:notice_id>/open/", views_notices.open_notice, name="open-notice"),
    path("unsubscribe/<str:token>/", views_notices.unsubscribe, name="unsubscribe"),
    path("teams/<slug:slug>/webhooks/", views_webhooks.webhooks, name="webhooks"),
    path(
        "teams/<slug:slug>/webhooks/create/", views_webhooks.create_webhook, name="create-webhook"
    ),
    path("webhooks/<uuid:endpoint_id>/", views_webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/log/", views_webhooks.webhook_log, name="webhook-log"),
    path("webhooks/<uuid:endpoint_id>/live/", views_webhooks.webhook_live, name="webhook-live"),
    path(
        "webhooks/<uuid:endpoint_id>/change/", views_webhooks.change_webhook, name="change-webhook"
    ),
    path(
        "webhooks/<uuid:endpoint_id>/rotate/", views_webhooks.rotate_webhook, name="rotate-webhook"
    ),
    path("webhooks/<uuid:endpoint_id>/test/", views_webhooks.test_webhook, name="test-webhook"),
    path(
        "webhooks/<uuid:endpoint_id>/switch/", views_webhooks.switch_webhook, name="switch-webhook"
    ),
    path(
        "webhooks/<uuid:endpoint_id>/delete/", views_webhooks.delete_webhook, name="delete-webhook"
    ),
    path("webhook-deliveries/<uuid:delivery_id>/", views_webhooks.delivery, name="delivery"),
    path("webhook-deliveries/<uuid:delivery_id>/send/", views_webhooks.redeliver, name="redeliver"),
]
