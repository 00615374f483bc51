"""How allauth creates our users: who signs up gets a team, their own or the one that invited."""

from contextlib import suppress
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.db import transaction
from django.http import HttpRequest
from django.utils import translation

from accounts.errors import InvitationEmailMismatch, InvitationGone
from accounts.models import User
from accounts.signup import create_team
from accounts.teams.membership import INVITATION_SESSION_KEY, accept


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Adds the team to allauth's sign-up, in one transaction with the user."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Save the user and, on commit, the team that the form (or their address) names."""
        user.language = translation.get_language() or ""  # Of e-mails, too: they know no browser.
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit)
            if commit and not self.join_inviting_team(request, saved):
                create_team(saved, form.cleaned_data.get("team_name"))
        return saved

    def join_inviting_team(self, request: HttpRequest, user: User) -> bool:
        """Who came by an invitation to this address joins its team, and needs none of their own."""
        secret = request.session.pop(INVITATION_SESSION_KEY, "")
        if not secret:
            return False
        with suppress(InvitationGone, InvitationEmailMismatch):
            accept(secret, user)
            return True
        return False


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who signs up through another service, without a form of ours, gets a team as well."""

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        with transaction.atomic():
            saved: User = super().save_user(request, sociallogin, form)
            if not saved.memberships.exists():
                joined = AccountAdapter(request).join_inviting_team(request, saved)
                if not joined:
                    create_team(saved, None)
        return saved
