"""API tokens on the wire: `Authorization: Bearer lathe_…`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils.timezone import now
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import ApiToken, Scope, User
from web.errors import UserError

if TYPE_CHECKING:  # DRF imports this module while its own views are still loading.
    from rest_framework.views import APIView

LAST_USE_GRAIN = timedelta(minutes=1)  # How exact last_used_at is; saves a write per request.


class MissingScope(UserError):
    code, status = "missing_scope", 403


class ApiTokenAuthentication(BaseAuthentication):
    """Sets request.user to the token's creator and request.auth to the ApiToken."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Send exactly: Authorization: Bearer <API token>.")
        token = (
            ApiToken.objects.matching(words[1].decode("latin-1"))
            .select_related("created_by", "team")
            .filter(created_by__is_active=True)
            .first()
        )
        if token is None:
            raise AuthenticationFailed("This API token is unknown, expired or revoked.")
        touch(token)
        return token.created_by, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def touch(token: ApiToken) -> None:
    """Remember that the token was used, to the minute."""
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now() - LAST_USE_GRAIN)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now())


class HasScope(BasePermission):
    """The token must hold the view's `required_scope`, or read/write by method."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return False  # Becomes 401 with WWW-Authenticate.
        default = Scope.READ if request.method in SAFE_METHODS else Scope.WRITE
        scope = getattr(view, "required_scope", default)
        if scope not in token.scopes:
            raise MissingScope(f"This API token lacks the scope {scope!r}. Create one that has it.")
        return True


class ApiTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes the token."""

    target_class = "accounts.authentication.ApiTokenAuthentication"
    name = "ApiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
