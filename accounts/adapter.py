"""How allauth creates our users: everyone who signs up gets a team of their own."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest

from accounts.models import User
from accounts.signup import create_team


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Adds the team to allauth's sign-up, in one transaction with the user."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Save the user and, on commit, the team that the form (or their address) names."""
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit)
            if commit:
                create_team(saved, form.cleaned_data.get("team_name"))
        return saved
