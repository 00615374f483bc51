"""Which language a request is answered in."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from web.middleware import is_api_request


class LanguageMiddleware(LocaleMiddleware):
    """The person's own choice, else what the browser asks for. The API answers in English."""

    def process_request(self, request: HttpRequest) -> None:
        if is_api_request(request):
            translation.activate("en")
            request.LANGUAGE_CODE = "en"
            return
        super().process_request(request)
        chosen = getattr(getattr(request, "user", None), "language", "")
        if chosen:
            translation.activate(chosen)
            request.LANGUAGE_CODE = translation.get_language()

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Nothing after this request may speak its language: threads serve many people."""
        if not is_api_request(request):
            response = super().process_response(request, response)
        translation.deactivate()
        return response
