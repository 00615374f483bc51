"""The OpenAPI document of /api/v1 and /v1, by whoever asks."""

from threading import Lock
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

_one_at_a_time = Lock()
_rendered: dict[str, str | bytes] = {}  # By the form's name.


class ApiSchemaView(SpectacularAPIView):
    """The same for everybody, and half a second of work: written once a process and form, so that
    no stranger can keep a process busy with it."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        with _one_at_a_time:
            if renderer.format not in _rendered:
                generator: Any = SchemaGenerator
                schema = generator().get_schema(request=None, public=True)
                _rendered[renderer.format] = renderer.render(schema, renderer_context={})
        headers = {"Content-Disposition": f'inline; filename="Lathe API.{renderer.format}"'}
        content_type = f"{renderer.media_type}; charset=utf-8"
        return HttpResponse(_rendered[renderer.format], content_type, headers=headers)
