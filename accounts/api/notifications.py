"""Notices and webhook endpoints on the wire. Endpoints are for tokens whose creator is an admin."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ApiToken, EventGroup, Notice, WebhookDelivery, WebhookEndpoint
from accounts.notifications.events import webhook_event_choices
from accounts.permissions import token_of
from accounts.webhooks import endpoints
from web.api import BadParameter, cursor_page
from web.idempotency.api import APIView
from web.validation.fields import ChoiceField

GROUP_PARAMETER = OpenApiParameter(
    "group", str, enum=EventGroup.values, description="Only this kind of notice."
)


class NoticeAnswer(serializers.Serializer[Any]):
    """One thing that happened. `data` holds ids and facts about it."""

    id = serializers.UUIDField()
    object = serializers.ReadOnlyField(default="notice")
    event = serializers.CharField()
    group = serializers.CharField()
    sentence = serializers.CharField()
    url = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()


class EndpointRequest(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=500)
    events = serializers.ListField(
        child=ChoiceField(choices=[name for name, _ in webhook_event_choices()]),
        allow_empty=False,
        max_length=100,
    )
    description = serializers.CharField(max_length=120, required=False, allow_blank=True)


class EndpointChange(EndpointRequest):
    """What is left out stays as it is. `enabled` switches sending on or off."""

    enabled = serializers.BooleanField(required=False)


class EndpointAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.ReadOnlyField(default="webhook_endpoint")
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField(source="is_enabled")
    disabled_reason = serializers.CharField()
    failing_since = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class EndpointWithSecretAnswer(EndpointAnswer):
    """Only the answers to creating and rotating carry the secret."""

    secret = serializers.CharField()


class DeliveryAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    object = serializers.ReadOnlyField(default="webhook_delivery")
    endpoint = serializers.UUIDField(source="endpoint_id")
    event = serializers.CharField()
    event_id = serializers.CharField()
    status = serializers.CharField()
    attempts = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    response_excerpt = serializers.CharField(source="excerpt")
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    attempted_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(source="next_at", allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)


class NoticesEndpoint(APIView):
    """What happened in the token's team, newest first."""

    @extend_schema(
        operation_id="notices_list", parameters=[GROUP_PARAMETER], responses=NoticeAnswer(many=True)
    )
    def get(self, request: Request) -> Response:
        rows = Notice.objects.visible_to(request.auth)
        if group := request.query_params.get("group"):
            if group not in EventGroup.values:
                words = ", ".join(EventGroup.values)
                raise BadParameter(f"group must be one of {words}.", param="group")
            rows = rows.filter(group=group)
        return cursor_page(request, rows, NoticeAnswer().to_representation)


class WebhookListEndpoint(APIView):
    """Where the team's programs are told what happens."""

    @extend_schema(operation_id="webhook_endpoints_list", responses=EndpointAnswer(many=True))
    def get(self, request: Request) -> Response:
        token = _require_admin_token(request)
        rows = WebhookEndpoint.objects.not_deleted().visible_to(token)
        return cursor_page(request, rows, EndpointAnswer().to_representation)

    @extend_schema(
        operation_id="webhook_endpoints_create",
        request=EndpointRequest,
        responses={201: EndpointWithSecretAnswer},
    )
    def post(self, request: Request) -> Response:
        token = _require_admin_token(request)
        serializer = EndpointRequest(data=request.data)
        serializer.is_valid(raise_exception=True)
        endpoint, secret = endpoints.create(token.team, token, **serializer.validated_data)
        return Response({**EndpointAnswer(endpoint).data, "secret": secret}, status=201)


class WebhookDetailEndpoint(APIView):
    """One webhook endpoint."""

    @extend_schema(operation_id="webhook_endpoints_retrieve", responses=EndpointAnswer)
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        return Response(EndpointAnswer(_find_endpoint(request, endpoint_id)).data)

    @extend_schema(
        operation_id="webhook_endpoints_change", request=EndpointChange, responses=EndpointAnswer
    )
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        endpoint, token = _find_endpoint(request, endpoint_id), _require_admin_token(request)
        serializer = EndpointChange(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        fields = dict(serializer.validated_data)
        is_enabled = fields.pop("enabled", None)
        if fields:
            endpoints.update(endpoint, token, **fields)
        if is_enabled is not None:
            (endpoints.enable if is_enabled else endpoints.disable)(endpoint, token)
        return Response(EndpointAnswer(endpoint).data)

    @extend_schema(operation_id="webhook_endpoints_delete", responses={204: None})
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        endpoints.delete(_find_endpoint(request, endpoint_id), _require_admin_token(request))
        return Response(status=204)


class WebhookRotateEndpoint(APIView):
    """A new signing secret; the old one signs too for a day."""

    @extend_schema(
        operation_id="webhook_endpoints_rotate", request=None, responses=EndpointWithSecretAnswer
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        endpoint = _find_endpoint(request, endpoint_id)
        secret = endpoints.rotate_secret(endpoint, _require_admin_token(request))
        return Response({**EndpointAnswer(endpoint).data, "secret": secret})


class WebhookTestEndpoint(APIView):
    """Sends an event of type webhook.test."""

    @extend_schema(
        operation_id="webhook_endpoints_test", request=None, responses={202: DeliveryAnswer}
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        endpoint = _find_endpoint(request, endpoint_id)
        delivery = endpoints.send_test(endpoint, _require_admin_token(request))
        return Response(DeliveryAnswer(delivery).data, status=202)


class DeliveriesEndpoint(APIView):
    """What was sent to an endpoint, newest first."""

    @extend_schema(operation_id="webhook_deliveries_list", responses=DeliveryAnswer(many=True))
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        rows = WebhookDelivery.objects.filter(endpoint=_find_endpoint(request, endpoint_id))
        return cursor_page(request, rows.defer("body"), DeliveryAnswer().to_representation)


class RedeliverEndpoint(APIView):
    """Sends one delivery again, now, under the same webhook-id."""

    @extend_schema(
        operation_id="webhook_deliveries_send", request=None, responses={202: DeliveryAnswer}
    )
    def post(self, request: Request, delivery_id: UUID) -> Response:
        token = _require_admin_token(request)
        rows = WebhookDelivery.objects.visible_to(token).filter(endpoint__deleted_at=None)
        delivery = get_object_or_404(rows.select_related("endpoint__team"), pk=delivery_id)
        endpoints.redeliver(delivery, token)
        return Response(DeliveryAnswer(delivery).data, status=202)


def _find_endpoint(request: Request, endpoint_id: UUID) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.not_deleted().visible_to(_require_admin_token(request))
    return get_object_or_404(rows.select_related("team"), pk=endpoint_id)


def _require_admin_token(request: Request) -> ApiToken:
    """Reading needs an admin too: members need not know where a team's programs are."""
    token = token_of(request)
    endpoints.require_creator_is_admin(token)
    return token
