"""What is left of /v1 for Django: addresses nobody answers.

Inference never comes here: `inference.passthrough` takes it before Django does.
"""

from django.http import HttpRequest, JsonResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from web.api import error_body


@csrf_exempt
def unknown(request: HttpRequest) -> JsonResponse:
    """404 in the API's error shape, whatever the method."""
    sentence = f"There is no {request.method} {request.path[:100]}."
    return JsonResponse(error_body(sentence, code="unknown_url"), status=404)


urlpatterns = [re_path("", unknown)]
