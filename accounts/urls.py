"""Pages about people, teams and tokens."""

from django.urls import path

from accounts.views import members, notifications, privacy, settings, tokens, webhooks

app_name = "accounts"
urlpatterns = [
    path("teams/<slug:slug>/tokens/", tokens.tokens, name="tokens"),
    path("teams/<slug:slug>/tokens/create/", tokens.create_token, name="create-token"),
    path("tokens/<uuid:token_id>/", tokens.edit_token, name="edit-token"),
    path("tokens/<uuid:token_id>/rotate/", tokens.rotate_token, name="rotate-token"),
    path("tokens/<uuid:token_id>/revoke/", tokens.revoke_token, name="revoke-token"),
    path("teams/<slug:slug>/audit/", tokens.audit_log, name="audit"),
    path("teams/<slug:slug>/audit.csv", tokens.audit_csv, name="audit-csv"),
    path("teams/<slug:slug>/members/", members.members, name="members"),
    path("teams/<slug:slug>/members/invite/", members.invite_member, name="invite"),
    path("teams/<slug:slug>/rename/", members.rename_team, name="rename-team"),
    path("teams/<slug:slug>/hand-over/", members.hand_over, name="hand-over"),
    path("members/<int:member_id>/role/", members.change_role, name="role"),
    path("members/<int:member_id>/remove/", members.remove_member, name="remove"),
    path(
        "invitations/<uuid:invitation_id>/withdraw/", members.withdraw_invitation, name="withdraw"
    ),
    path("join/<str:secret>/", members.accept_invitation, name="accept"),
    path("settings/", settings.settings, name="settings"),
    path("settings/teams/", settings.create_team, name="create-team"),
    path("settings/sessions/", settings.sign_out_elsewhere, name="sign-out-elsewhere"),
    path("settings/sessions/<int:session_id>/end/", privacy.end_session, name="end-session"),
    path("settings/export/", privacy.export_data, name="export-data"),
    path("settings/delete/", privacy.delete_account, name="delete-account"),
    path("teams/<slug:slug>/notices/", notifications.notices, name="notices"),
    path("teams/<slug:slug>/notices/rows/", notifications.notice_rows, name="notice-rows"),
    path("teams/<slug:slug>/notices/bell/", notifications.bell, name="bell"),
    path("teams/<slug:slug>/notices/latest/", notifications.latest_notices, name="latest-notices"),
    path("teams/<slug:slug>/notices/live/", notifications.notices_live, name="notices-live"),
    path("teams/<slug:slug>/notices/read/", notifications.mark_notices_read, name="read-notices"),
    path(
        "teams/<slug:slug>/notices/settings/",
        notifications.notice_settings,
        name="notice-settings",
    ),
    path("notices/<uuid:notice_id>/open/", notifications.open_notice, name="open-notice"),
    path("unsubscribe/<str:token>/", notifications.unsubscribe, name="unsubscribe"),
    path("teams/<slug:slug>/webhooks/", webhooks.webhooks, name="webhooks"),
    path("teams/<slug:slug>/webhooks/create/", webhooks.create_webhook, name="create-webhook"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/log/", webhooks.webhook_log, name="webhook-log"),
    path("webhooks/<uuid:endpoint_id>/live/", webhooks.webhook_live, name="webhook-live"),
    path("webhooks/<uuid:endpoint_id>/change/", webhooks.change_webhook, name="change-webhook"),
    path("webhooks/<uuid:endpoint_id>/rotate/", webhooks.rotate_webhook, name="rotate-webhook"),
    path("webhooks/<uuid:endpoint_id>/test/", webhooks.test_webhook, name="test-webhook"),
    path("webhooks/<uuid:endpoint_id>/switch/", webhooks.switch_webhook, name="switch-webhook"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhooks.delete_webhook, name="delete-webhook"),
    path("webhook-deliveries/<uuid:delivery_id>/", webhooks.delivery, name="delivery"),
    path("webhook-deliveries/<uuid:delivery_id>/send/", webhooks.redeliver, name="redeliver"),
]
