"""The ASGI application of the models process: its routes, its errors, and its life."""

import asyncio
import contextlib
import hmac
import logging
import time
from datetime import datetime
from functools import partial

from django.conf import settings
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from accounts.models import TokenScope
from inference.gateway.other_models import sentence_for
from inference.serving.protocol.body import JsonObject
from inference.serving.protocol.classify import MAX_ROWS
from inference.serving.protocol.errors import ApiError, bad_request, unauthenticated, unknown_model
from inference.serving.protocol.http import (
    CLIENT_CLOSED_REQUEST,
    SCOPE_KEY,
    JsonResponse,
    RequestInfo,
)
from inference.serving.routes.classification import ClassificationRoutes
from inference.serving.routes.embedding import EmbeddingRoutes
from inference.serving.routes.generation import open_model
from inference.serving.routes.once import Handler, once
from inference.serving.routes.text_generation import GenerationRoutes
from inference.serving.services import Services
from inference.serving.usage_counter import FLUSH_SECONDS
from web.database.live_processes import count_for_ever
from web.log_context import log_context
from web.telemetry.readiness import check_readiness, is_ready

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 20
LOOPBACK = {"127.0.0.1", "::1"}


class ModelsApp:
    """Call `open` before the first request and `close` after the last."""

    def __init__(self) -> None:
        self.services = Services.from_settings()
        self.in_flight = 0
        self._tasks: list[asyncio.Task[None]] = []
        classification = ClassificationRoutes(self.services)
        generation = GenerationRoutes(self.services)
        embedding = EmbeddingRoutes(self.services)
        posts: dict[str, Handler] = {
            "/v1/classify": classification.classify,
            "/v1/chat/completions": partial(generation.complete, is_chat=True),
            "/v1/completions": partial(generation.complete, is_chat=False),
            "/v1/responses": generation.response,
            "/v1/embeddings": embedding.embed,
        }
        self._router = Router(
            [
                *(
                    Route(path, once(self.services, post), methods=["POST"])
                    for path, post in posts.items()
                ),
                Route("/v1/models", self._list_models),
                Route("/v1/models/{model:path}", self._retrieve_model, methods=["GET"]),
                Route("/v1/models/{model:path}", self._delete_model, methods=["DELETE"]),
                Route("/v1/info", self._info),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ],
            redirect_slashes=False,
        )
        self._register_readings()

    async def open(self) -> None:
        await self.services.lookups.open()
        counting = count_for_ever("models", self.services.rate_limiter.set_processes)
        for work in (self._flush_forever(), counting):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def drain(self) -> None:
        """Wait until every request that came in has its answer."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.services.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        info = RequestInfo.begin(scope["path"])
        scope[SCOPE_KEY], scope["app"] = info, self
        has_body = scope["method"] != "HEAD"

        async def send_part(message: Message) -> None:
            if message["type"] == "http.response.start":
                info.note_start(message)
            elif not has_body:
                message["body"] = b""
            await send(message)

        self.in_flight += 1
        try:
            with log_context(request=info.id):
                await self._respond(scope, receive, send_part, info)
        finally:
            self.in_flight -= 1
            route = scope.get("route")
            name = route.path_format if isinstance(route, Route) else "other"  # Bounded.
            self.services.metrics.requests.labels(name, str(info.status)).inc()
            self.services.metrics.seconds.observe(info.seconds)

    async def _respond(self, scope: Scope, receive: Receive, send: Send, info: RequestInfo) -> None:
        try:
            await self._router(scope, receive, send)
            return
        except ClientDisconnect:
            info.status = CLIENT_CLOSED_REQUEST
            return
        except HTTPException as refusal:
            error = _routing_error(scope, refusal)
        except ApiError as refusal:
            error = refusal
        except Exception:  # The top of this process: logged once, answered as our own fault.
            logger.exception("Request %s failed", info.id)
            if info.status:  # Half an answer is out: raising makes the server close the connection.
                raise
            error = ApiError(
                500, "internal_error", "Something went wrong here. You were not charged."
            )
        await Response(error.body(), error.status, error.headers, "application/json")(
            scope, receive, send
        )

    async def _list_models(self, request: Request) -> Response:
        principal = await self.services.authenticate(request)
        models = await self.services.lookups.list_models(principal)
        data = [_model_object(name, made) for name, made in models.items()]
        return JsonResponse({"object": "list", "data": data})

    async def _retrieve_model(self, request: Request) -> Response:
        principal = await self.services.authenticate(request)
        name = request.path_params["model"]
        made = (await self.services.lookups.list_models(principal)).get(name)
        if made is None and sentence_for(name) is not None:
            raise unknown_model(name)
        if made is None:  # Deployed an instant ago, or a fine-tuned model that nobody deployed yet.
            made = (await self.services.lookups.get_deployment(principal, name)).created_at
        return JsonResponse(_model_object(name, made))

    async def _delete_model(self, request: Request) -> Response:
        """Retire the deployment; the name is free again."""
        principal = await self.services.authenticate(request, scope=TokenScope.WRITE)
        name = request.path_params["model"]
        await self.services.lookups.retire_deployment(principal, name)
        return JsonResponse({"id": name, "object": "model", "deleted": True})

    async def _info(self, request: Request) -> Response:
        principal = await self.services.authenticate(request)
        name = request.query_params.get("model")
        if not name:
            raise bad_request("Say which model: /v1/info?model=NAME.", "model")
        deployment = await self.services.lookups.get_deployment(principal, name)
        model = await open_model(self.services, deployment)
        labels, inputs = model.served.labels, model.served.manifest.inputs
        id2label = {str(number): label for number, label in enumerate(labels)}
        label2id = {label: number for number, label in enumerate(labels)}
        return JsonResponse(
            {
                "model_id": deployment.name,
                "model_sha": model.id,
                "base_model": deployment.base_model,
                "task": deployment.task,
                "model_type": {"classifier": {"id2label": id2label, "label2id": label2id}},
                "id2label": id2label,
                "max_input_length": inputs.max_length,
                "features": [feature.model_dump() for feature in inputs.features],
                "max_client_batch_size": MAX_ROWS,
                "version": settings.VERSION,
            }
        )

    async def _healthz(self, request: Request) -> Response:
        return JsonResponse({"status": "ok", "models_loaded": len(self.services.model_cache)})

    async def _readyz(self, request: Request) -> Response:
        checks = await self.services.db_executor.run(check_readiness)
        if is_ready(checks):
            return JsonResponse({"status": "ready", "checks": checks})
        return JsonResponse({"status": "not ready", "checks": checks}, status_code=503)

    async def _metrics(self, request: Request) -> Response:
        """For Prometheus: with METRICS_TOKEN, or without one from this very machine."""
        if token := settings.METRICS_TOKEN:
            sent = request.headers.get("authorization", "")
            is_allowed = hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())
        else:
            host = request.client.host if request.client else ""
            is_allowed = host in LOOPBACK and "x-forwarded-for" not in request.headers
        if not is_allowed:
            raise unauthenticated("Send METRICS_TOKEN: Authorization: Bearer <METRICS_TOKEN>.")
        return Response(self.services.metrics.render(), media_type="text/plain; version=0.0.4")

    def _register_readings(self) -> None:
        services = self.services
        batcher, models, usage = services.batcher, services.model_cache, services.usage_counter
        services.metrics.register_readings(
            {
                "in_flight": lambda: self.in_flight,
                "models_processes": lambda: services.rate_limiter.processes,
                "waiting_rows": lambda: batcher.waiting_rows,
                "batches_total": lambda: batcher.batches,
                "batch_rows_total": lambda: batcher.rows,
                "models_loaded": lambda: len(models),
                "models_bytes": lambda: models.size_bytes,
                "model_loads_total": lambda: models.load_count,
                "answer_cache_hits_total": lambda: services.answer_cache.hits,
                "answer_cache_misses_total": lambda: services.answer_cache.misses,
                "answer_cache_entries": lambda: len(services.answer_cache),
                "shadow_requests_skipped_total": lambda: services.shadows.skipped,
                "vllm_servers": lambda: len(services.vllm),
                "vllm_servers_away": lambda: services.vllm.away,
                "vllm_requests_total": lambda: services.vllm.requests,
                "unflushed_tokens": lambda: usage.unflushed_tokens,
                "log_entries_dropped_total": lambda: usage.dropped_logs,
            }
        )

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.services.usage_counter.flush()
            except Exception:  # One failed flush must not end the metering of this process.
                logger.exception("A flush of usage failed; it is repeated")


def _routing_error(scope: Scope, refusal: HTTPException) -> ApiError:
    """The router's 404 and 405 in the API's words."""
    if refusal.status_code == 405:
        allowed = "POST" if "POST" in (refusal.headers or {}).get("Allow", "") else "GET"
        return ApiError(
            405,
            "method_not_allowed",
            f"Use {allowed} here, not {scope['method'][:20]}.",
            headers={"allow": allowed},
        )
    return ApiError(404, "unknown_url", f"There is no {scope['method']} {scope['path'][:100]}.")


def _model_object(name: str, made: datetime) -> JsonObject:
    """A deployment, an assistant or a base model as an OpenAI model."""
    created = int(made.timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "lathe"}
