"""Pages about people, teams and tokens."""

from django.urls import path

from accounts import views, views_members, views_settings

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
]
