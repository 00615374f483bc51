"""Which language a request is answered in. The API answers in English."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from web.front.middleware import SynchronousMiddleware
from web.middleware import is_api_request


class RequestLanguageMiddleware(LocaleMiddleware):
    """What the cookie or the browser asks for. Stands before all that may refuse a request, so
    that a refusal is in the reader's language too."""

    def process_request(self, request: HttpRequest) -> None:
        if is_api_request(request):
            translation.activate("en")
            request.LANGUAGE_CODE = "en"
            return
        super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Nothing after this request may speak its language: threads serve many people."""
        if not is_api_request(request):
            response = super().process_response(request, response)
        translation.deactivate()
        return response


class UserLanguageMiddleware(SynchronousMiddleware):
    """The person's own choice, which wins. Stands behind the authentication."""

    def process_request(self, request: HttpRequest) -> None:
        """Django's hook."""
        if is_api_request(request):
            return
        chosen = getattr(getattr(request, "user", None), "language", "")
        if chosen:
            translation.activate(chosen)
            request.LANGUAGE_CODE = translation.get_language()
