"""The API's answer to "who am I?"."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, views
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken
from web.idempotency.api import APIView


class HasToken(BasePermission):
    """Any usable token, whatever its scopes: it may always ask what it is."""

    def has_permission(self, request: Request, view: views.APIView) -> bool:
        return isinstance(request.auth, ApiToken)


class UserAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    name = serializers.CharField(source="get_full_name")


class TeamAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.SlugField()


class TokenAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    allowed_models = serializers.ListField(child=serializers.CharField())
    budget_micro = serializers.IntegerField(allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)


class MeAnswer(serializers.Serializer[Any]):
    """The token's creator, its team, and what it may do."""

    user = UserAnswer(source="created_by")
    team = TeamAnswer()
    scopes = serializers.ListField(child=serializers.CharField())
    token = TokenAnswer(source="*")


class MeEndpoint(APIView):
    """Whose token this is, for which team, and what it may do."""

    permission_classes = [HasToken]

    @extend_schema(operation_id="me", responses=MeAnswer)
    def get(self, request: Request) -> Response:
        return Response(MeAnswer(request.auth).data)
