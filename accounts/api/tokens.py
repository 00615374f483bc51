"""The team's tokens on the wire; a token may rotate and revoke itself."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.me import HasToken
from accounts.models import ApiToken
from accounts.permissions import viewer_of
from accounts.tokens import MAX_OVERLAP, revoke, rotate
from web.api import cursor_page
from web.idempotency.api import APIView
from web.validation.fields import IntegerField

MAX_OVERLAP_HOURS = int(MAX_OVERLAP / timedelta(hours=1))


class ApiTokenAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.CharField(default="api_token")
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_models = serializers.ListField(
        child=serializers.CharField(), help_text="Models it may ask; empty: all of the team's."
    )
    budget_micro = serializers.IntegerField(
        allow_null=True, help_text="Of answers each month, in millionths of a dollar."
    )
    requests_per_minute = serializers.IntegerField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    rotated_at = serializers.DateTimeField(allow_null=True)
    previous_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when the secret before the last rotation works."
    )
    revoked_at = serializers.DateTimeField(allow_null=True)


class RotationRequest(serializers.Serializer[Any]):
    overlap_hours = IntegerField(
        min_value=0,
        max_value=MAX_OVERLAP_HOURS,
        default=24,
        help_text="How long the former secret goes on working.",
    )


class RotationAnswer(ApiTokenAnswer):
    secret = serializers.CharField(help_text="Shown this once.")


class TokensEndpoint(APIView):
    """Who may act for the team, and how far."""

    @extend_schema(operation_id="list_tokens", responses=ApiTokenAnswer(many=True))
    def get(self, request: Request) -> Response:
        rows = ApiToken.objects.visible_to(viewer_of(request)).select_related("created_by")
        return cursor_page(request, rows, ApiTokenAnswer().to_representation)


class TokenEndpoint(APIView):
    """One token. Whatever its scopes, a token may end itself."""

    permission_classes = [HasToken]

    @extend_schema(operation_id="revoke_token", responses=ApiTokenAnswer)
    def delete(self, request: Request, token_id: UUID) -> Response:
        """End the token that sends this request. Others are revoked on the page."""
        token = get_object_or_404(ApiToken.objects.visible_to(viewer_of(request)), pk=token_id)
        revoke(token, viewer_of(request))
        token.refresh_from_db()
        return Response(ApiTokenAnswer(token).data)


class TokenRotationEndpoint(APIView):
    permission_classes = [HasToken]

    @extend_schema(operation_id="rotate_token", request=RotationRequest, responses=RotationAnswer)
    def post(self, request: Request, token_id: UUID) -> Response:
        """Give the token that sends this request another secret."""
        token = get_object_or_404(ApiToken.objects.visible_to(viewer_of(request)), pk=token_id)
        body = RotationRequest(data=request.data)
        body.is_valid(raise_exception=True)
        overlap = timedelta(hours=body.validated_data["overlap_hours"])
        secret = rotate(token, viewer_of(request), overlap)
        token.refresh_from_db()
        return Response(ApiTokenAnswer(token).data | {"secret": secret})
