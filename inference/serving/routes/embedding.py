"""The route /v1/embeddings: by a deployed text model's encoder, or by a base encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from starlette.requests import Request

from engine import catalog
from engine.encoder_precision import split_precision
from engine.errors import EngineError
from inference.serving.model_cache import LoadedModel
from inference.serving.principals import (
    Principal,
    ServedDeployment,
    base_encoder,
    is_base_encoder,
)
from inference.serving.protocol import embeddings as protocol
from inference.serving.protocol.embeddings import EmbeddingsRequest
from inference.serving.protocol.errors import ApiError, bad_request
from inference.serving.protocol.http import JsonResponse, info_of, read_body
from inference.serving.routes.encoding import compute_unless_known, encode_rows
from inference.serving.services import Services
from inference.serving.usage_counter import RequestRecord

MAX_CACHED_TEXTS = 16  # Who sends more sends a collection, and each of its texts once.
TEXT_TASKS = ("text-classification", "text-regression")


@dataclass(eq=False)
class EmbeddingRoutes:
    _services: Services

    async def embed(self, request: Request) -> JsonResponse:
        services = self._services
        principal = await services.authenticate(request)
        body = await read_body(request, settings.MODELS_MAX_BODY_BYTES)
        payload = protocol.parse_embeddings_request(body)
        deployment = await self._find_encoder(principal, payload.model)
        deployment = deployment.for_request(info_of(request).id)
        try:
            return await self._answer(request, principal, deployment, payload)
        except ApiError as error:
            record = RequestRecord(error.status, payload.texts)
            services.log_request(request, principal, deployment, record)
            raise

    async def _find_encoder(self, principal: Principal, name: str) -> ServedDeployment:
        """The team's deployment of this name, else the base encoder. Raises ApiError (404, 400)."""
        lookups = self._services.lookups
        try:
            deployment = await lookups.get_deployment(principal, name)
        except ApiError as error:
            if error.status != 404 or not is_base_encoder(name):
                raise
            encoder, _ = split_precision(name)
            if not catalog.CATALOG[encoder].is_at_hand:
                raise bad_request(
                    f"{encoder} is not on this machine, so it cannot embed here.", "model"
                ) from None
            return base_encoder(name)
        if deployment.task not in TEXT_TASKS:
            raise bad_request(
                f"{name} does {deployment.task.replace('-', ' ')}: it has no embeddings of texts.",
                "model",
            )
        return deployment

    async def _answer(
        self,
        request: Request,
        principal: Principal,
        deployment: ServedDeployment,
        payload: EmbeddingsRequest,
    ) -> JsonResponse:
        import numpy as np

        services = self._services
        await services.lookups.require_budget(principal)
        if deployment.deployment_id is None:
            model = await services.model_cache.get_base_embedder(payload.model)
        else:
            model = await services.model_cache.get_embedder(
                deployment.model_id, deployment.artifact_key
            )
        try:
            rows, lengths = await self._embed(model, payload)
        except EngineError as error:
            raise bad_request(error.sentence, "input") from error
        tokens = sum(lengths)
        content = protocol.embeddings_response(payload, np.stack(rows), tokens)
        services.record_usage(principal, deployment, tokens)
        record = RequestRecord(200, payload.texts, tokens, [f"{len(rows)} embeddings"])
        services.log_request(request, principal, deployment, record)
        return JsonResponse(content, headers={"x-lathe-model": model.id})

    async def _embed(
        self, model: LoadedModel, payload: EmbeddingsRequest
    ) -> tuple[list[Any], list[int]]:
        """The vector and the tokens of each text. Raises EngineError for one that is too long."""

        async def compute(texts: Sequence[str]) -> tuple[list[Any], list[int]]:
            encoded = await encode_rows(model, texts, cut=payload.cuts)
            lengths = model.served.token_counts(encoded)
            outputs = model.served.outputs
            rows = await self._services.batcher.predict(model.id, outputs, encoded, lengths)
            return list(rows), list(lengths)

        if len(payload.texts) > MAX_CACHED_TEXTS:
            return await compute(payload.texts)
        cache, kind = self._services.answer_cache, "cut" if payload.cuts else "whole"
        return await compute_unless_known(cache, f"{model.id}/{kind}", payload.texts, compute)
