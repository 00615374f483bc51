"""The routes /v1/chat/completions, /v1/completions and /v1/responses."""

from dataclasses import dataclass

from django.conf import settings
from starlette.requests import Request
from starlette.responses import Response

from inference.serving.protocol import chat
from inference.serving.protocol.http import read_body
from inference.serving.protocol.responses import parse_responses_request
from inference.serving.routes import generation
from inference.serving.routes.responses import ResponsesGeneration
from inference.serving.services import Services


@dataclass(eq=False)
class GenerationRoutes:
    _services: Services

    async def complete(self, request: Request, *, is_chat: bool) -> Response:
        """Go on with a chat, or with a text."""
        services = self._services
        principal = await services.authenticate(request)
        body = await read_body(request, settings.MODELS_MAX_BODY_BYTES)
        payload = chat.parse_generation_request(body, is_chat=is_chat)
        return await generation.answer(services, request, principal, payload, generation.Generation)

    async def response(self, request: Request) -> Response:
        """OpenAI's newer address, as far as nothing has to be kept between requests."""
        services = self._services
        principal = await services.authenticate(request)
        body = await read_body(request, settings.MODELS_MAX_BODY_BYTES)
        payload = parse_responses_request(body)
        return await generation.answer(services, request, principal, payload, ResponsesGeneration)
