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

    async def chat(self, request: Request) -> Response:
        return await self._complete(request, is_chat=True)

    async def completion(self, request: Request) -> Response:
        return await self._complete(request, is_chat=False)

    async def _complete(self, request: Request, *, is_chat: bool) -> Response:
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
