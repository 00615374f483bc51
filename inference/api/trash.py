"""The trash over the API: what was removed and can still be restored."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import require_permission, token_of
from inference.queries.trash import TrashItem, list_trash
from web.api import list_page
from web.idempotency.api import APIView

# The kinds as the API calls them in `object`, and the addresses that restore them.
ADDRESSES = {
    "Project": ("project", "projects"),
    "Dataset": ("dataset", "datasets"),
    "Fine-tune": ("training_job", "training-jobs"),
    "Model": ("model", "models"),
    "Endpoint": ("deployment", "deployments"),
    "Assistant": ("assistant", "assistants"),
}


class TrashItemAnswer(serializers.Serializer[TrashItem]):
    """POST to `restore` brings it back, until `gone_at`."""

    object = serializers.ReadOnlyField(default="trash.item")
    id = serializers.UUIDField()
    kind = serializers.SerializerMethodField()
    name = serializers.CharField()
    project = serializers.CharField(help_text="The name of its project; empty for a project.")
    removed_at = serializers.DateTimeField()
    gone_at = serializers.DateTimeField(help_text="From then on it cannot be restored.")
    restore = serializers.SerializerMethodField()

    def get_kind(self, item: TrashItem) -> str:
        return ADDRESSES[item.kind][0]

    def get_restore(self, item: TrashItem) -> str:
        return f"/api/v1/{ADDRESSES[item.kind][1]}/{item.id}/restore"


class TrashEndpoint(APIView):
    @extend_schema(operation_id="list_trash", responses=TrashItemAnswer(many=True))
    def get(self, request: Request) -> Response:
        """What the team removed in the last 30 days, latest first; at most 100 of each kind."""
        token = token_of(request)
        require_permission(token, token.team, "read")
        items = list_trash(token.team)
        return list_page(request, items, TrashItemAnswer().to_representation)
