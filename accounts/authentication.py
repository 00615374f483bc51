"""Authenticating API requests by token: `Authorization: Bearer lathe_…`."""

from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user
from django.db.models import Q
from django.http import HttpRequest, parse_cookie
from django.utils.timezone import now
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import ApiToken, Team, TokenScope, User, scopes_within
from accounts.models.api_token import WITH_DIGEST_SQL, WORKING_TOKENS_SQL
from accounts.permissions import TokenNotAllowed
from web.database.rows import Columns, fetch
from web.errors import UserError

if TYPE_CHECKING:  # DRF imports this module while its own views are still loading.
    from rest_framework.views import APIView

LAST_USED_RESOLUTION = timedelta(minutes=1)  # How exact last_used_at is; saves a write per request.
TOKEN, USER, TEAM = Columns(ApiToken, "token"), Columns(User, "person"), Columns(Team, "team")
TOKEN_SQL = f"""
SELECT membership.role, token.digest <> %s, {TOKEN.sql}, {USER.sql}, {TEAM.sql}
{WORKING_TOKENS_SQL} {WITH_DIGEST_SQL}
"""


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
        token = find_token(words[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("This API token is unknown, expired or revoked.")
        record_token_use(token)
        return token.created_by, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def find_token(secret: str) -> ApiToken | None:
    """The working token with this secret, or with this as its former one while that still works;
    with its creator, their role of now, and its team."""
    rows = fetch(TOKEN_SQL, [ApiToken.digest_of(secret)] * 3)
    if not rows:
        return None
    role, has_former_secret, *values = rows[0]
    token = TOKEN.read(values[: len(TOKEN)])
    token.creator_role, token.has_former_secret = role, has_former_secret
    token.created_by = USER.read(values[len(TOKEN) : len(TOKEN) + len(USER)])
    token.team = TEAM.read(values[len(TOKEN) + len(USER) :])
    return token


def find_uploader(authorization: str, cookies: str) -> str | None:
    """Who sends a request with these headers, by a credential that is valid now and may write.

    Asked before a large body is read: whether this person may upload to this very project is the
    view's question.
    """
    scheme, _, secret = authorization.partition(" ")
    if authorization:
        if scheme.lower() != "bearer":
            return None
        token = find_token(secret.strip())
        may_write = token is not None and TokenScope.WRITE in token.scopes
        return f"person:{token.created_by_id}" if token is not None and may_write else None
    request = HttpRequest()
    session_key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    return f"person:{user.pk}" if user.is_authenticated else None


def record_token_use(token: ApiToken) -> None:
    """Store when the token was last used, to the minute."""
    if token.last_used_at and token.last_used_at > now() - LAST_USED_RESOLUTION:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now() - LAST_USED_RESOLUTION)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now())


class HasScope(BasePermission):
    """The token must hold the view's `required_scope`, or read/write by method."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return False  # Becomes 401 with WWW-Authenticate.
        default = TokenScope.READ if request.method in SAFE_METHODS else TokenScope.WRITE
        scope = getattr(view, "required_scope", default)
        if scope not in token.scopes:
            raise MissingScope(f"This API token lacks the scope “{scope}”. Create one that has it.")
        if scope not in scopes_within(token.scopes, token.creator_role):
            raise TokenNotAllowed
        return True


class ApiTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema describes the token."""

    target_class = "accounts.authentication.ApiTokenAuthentication"
    name = "ApiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
