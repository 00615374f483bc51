"""A person who signs in with an e-mail address and a password."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models import F

from web.browser.page_memo import once_per_page


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address; there are no user names."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user with a normalised e-mail address; no password means none can be used."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user who may enter the Django admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """A person. Belongs to teams through memberships."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)

    # The language of pages and e-mails; empty: pages as the browser asks, e-mails in English.
    language = models.CharField(
        max_length=10, blank=True, default="", db_default="", choices=settings.LANGUAGES
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[assignment,misc]

    @once_per_page
    def team_memberships(self) -> list[Any]:  # Of Membership, whose module imports this one.
        """With their teams, in the order in which the person joined them."""
        return list(self.memberships.select_related("team").order_by("joined_at", "pk"))

    def team_ids(self, permission: str = "read") -> list[uuid.UUID]:
        """The teams in which this person has the permission: by default, whose rows they see."""
        return [one.team_id for one in self.team_memberships() if permission in one.permissions]

    @property
    def has_confirmed_email(self) -> bool:
        """Whether the person has shown that the address is theirs."""
        confirmed = User.objects.filter(
            emailaddress__verified=True, emailaddress__email__iexact=F("email")
        )
        return confirmed.filter(pk=self.pk).exists()

    def __str__(self) -> str:
        return self.get_full_name() or self.email
