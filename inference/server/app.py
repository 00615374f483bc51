"""The ASGI application of the models process: every route it answers, and its life."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from accounts.models import Scope
from engine.errors import EngineError
from inference import passes
from inference.server import wire
from inference.server.batching import Batcher
from inference.server.database import DatabaseThreads
from inference.server.directory import Caller, Directory, Target
from inference.server.exchange import ClientLeft, Exchange, Message, Receive, Send
from inference.server.gauges import Gauges
from inference.server.limiting import RateLimit
from inference.server.metering import FLUSH_SECONDS, Meter, log_entry
from inference.server.refusals import (
    Refusal,
    bad_request,
    out_of_quota,
    too_many_requests,
)
from inference.server.shelf import LoadedModel, Shelf
from inference.server.writing import TASK as WRITING_TASK
from inference.server.writing import Writing

logger = logging.getLogger(__name__)

Route = Callable[[Exchange], Awaitable[None]]

INLINE_CHARACTERS = 4_000  # Longer requests are tokenised in a thread, not in the event loop.
DRAIN_SECONDS = 20
WRITING = ("/v1/chat/completions", "/v1/completions")


class ModelsApp:
    """All that the process holds. `open` before the first request, `close` after the last."""

    def __init__(self) -> None:
        self.threads = DatabaseThreads()
        self.directory = Directory(self.threads)
        self.meter = Meter(self.threads)
        self.shelf = Shelf(Path(settings.VAR_DIR) / "models", settings.MODELS_MEMORY_BYTES)
        self.batcher = Batcher(settings.MODELS_LANES)
        self.limit = RateLimit(
            settings.INFERENCE_REQUESTS_PER_SECOND, settings.INFERENCE_REQUESTS_PER_SECOND * 2
        )
        self.gauges = Gauges()
        self.writing = Writing(self)
        self.in_flight = 0
        self._flushing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.directory.open()
        self._flushing = asyncio.get_running_loop().create_task(self._flush_forever())

    async def drain(self) -> None:
        """Wait until every request that came in has its answer."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Write the last usage and let go of everything."""
        if self._flushing is not None:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing
        await self.meter.flush()
        await self.directory.close()
        self.batcher.close()
        self.writing.writers.close()
        self.shelf.close()
        await self.threads.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        self.in_flight += 1
        try:
            await self._answer(exchange)
        finally:
            self.in_flight -= 1
            self.gauges.answered(route_name(exchange.path), exchange.status, exchange.seconds)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._route(exchange)(exchange)
        except ClientLeft:
            return
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except Exception:  # The top of this process: logged once, told as our own fault.
            logger.exception("Request %s failed", exchange.id)
            await exchange.refuse(
                Refusal(500, "internal_error", "Something went wrong here. You were not charged.")
            )

    def _route(self, exchange: Exchange) -> Route:
        routes: dict[str, tuple[str, Route]] = {
            "/v1/classify": ("POST", self._classify),
            "/v1/chat/completions": ("POST", self.writing.chat),
            "/v1/completions": ("POST", self.writing.completion),
            "/v1/models": ("GET", self._models),
            "/v1/models/{model}": ("GET", self._one_model),
            "/v1/info": ("GET", self._info),
            "/healthz": ("GET", self._healthz),
            "/metrics": ("GET", self._metrics),
        }
        name = route_name(exchange.path)
        if name not in routes:
            sentence = f"There is no {exchange.method} {exchange.path[:100]}."
            raise Refusal(404, "unknown_url", sentence)
        method, route = routes[name]
        if exchange.method != method and (exchange.method, method) != ("HEAD", "GET"):
            raise Refusal(
                405,
                "method_not_allowed",
                f"Use {method} here, not {exchange.method[:20]}.",
                headers={"allow": method},
            )
        return route

    async def _classify(self, exchange: Exchange) -> None:
        caller = await self.caller(exchange)
        body = await exchange.body(settings.MODELS_MAX_BODY_BYTES)
        question = wire.read_question(body, exchange.query("model"))
        target = await self.directory.target(caller.team_id, question.model)
        if target.task == WRITING_TASK:
            raise bad_request(f"{target.name} writes: ask it at /v1/chat/completions.", "model")
        try:
            await self._answer_question(exchange, caller, target, question)
        except Exception as error:
            status = error.status if isinstance(error, Refusal) else 500
            self.log(exchange, caller, target, status=status, texts=question.texts)
            raise

    async def _answer_question(
        self, exchange: Exchange, caller: Caller, target: Target, question: wire.Question
    ) -> None:
        if not await self.directory.may_spend(caller.team_id):
            raise out_of_quota()
        model = await self.shelf.get(target.model_id, target.artifact_key)
        answered, tokens = await self._ask(model, question)
        content = (
            wire.hugging_face_answer(answered)
            if question.is_hugging_face
            else wire.vllm_answer(
                answered, request_id=exchange.id, created=int(time.time()), tokens=tokens
            )
        )
        self.meter.count(caller, target, tokens)
        self.gauges.tokens += tokens
        exchange.answer_headers["x-lathe-model"] = model.id
        said = [
            ", ".join(wire.chosen_labels(answered, row)) for row in answered.scores[:5].tolist()
        ]
        self.log(
            exchange, caller, target, status=200, texts=question.texts, tokens=tokens, answers=said
        )
        await exchange.answer(content)

    async def _ask(self, model: LoadedModel, question: wire.Question) -> tuple[wire.Answered, int]:
        """The answer, and how many tokens were read for it. Raises Refusal (400)."""
        import numpy as np

        served = model.served
        inputs, target = served.manifest.inputs, served.manifest.target
        rows = wire.rows_for(question, inputs)
        try:
            encoded = await encode(model, rows)
        except EngineError as error:
            raise bad_request(error.sentence, question.param) from error
        tokens = served.token_counts(encoded)
        # Only texts differ in what they cost: the rest may share any batch.
        lengths = tokens if inputs.kind == "text" else [1] * len(tokens)
        outputs = await self.batcher.ask(model.id, served.outputs, encoded, lengths)
        scores = wire.scores_of(question, target, np.stack(outputs))
        return wire.Answered(question, served.labels, scores, target), sum(tokens)

    def log(
        self, exchange: Exchange, caller: Caller, target: Target, *, status: int, **facts: Any
    ) -> None:
        if not self.meter.wants_log(target):
            return
        entry = log_entry(
            caller,
            target,
            request_id=exchange.id,
            status=status,
            latency_ms=round(exchange.seconds * 1000, 3),
            **facts,
        )
        self.meter.log(target, entry)

    async def _models(self, exchange: Exchange) -> None:
        caller = await self.caller(exchange)
        found = await self.directory.deployments(caller.team_id)
        await exchange.answer({"object": "list", "data": [_model_object(one) for one in found]})

    async def _one_model(self, exchange: Exchange) -> None:
        caller = await self.caller(exchange)
        name = unquote(exchange.path.removeprefix("/v1/models/"))
        await exchange.answer(_model_object(await self.directory.target(caller.team_id, name)))

    async def _info(self, exchange: Exchange) -> None:
        caller = await self.caller(exchange)
        name = exchange.query("model")
        if not name:
            raise bad_request("Say which model: /v1/info?model=NAME.", "model")
        target = await self.directory.target(caller.team_id, name)
        model = await self.shelf.get(target.model_id, target.artifact_key)
        labels, inputs = model.served.labels, model.served.manifest.inputs
        classifier = {
            "id2label": {str(number): label for number, label in enumerate(labels)},
            "label2id": {label: number for number, label in enumerate(labels)},
        }
        await exchange.answer(
            {
                "model_id": target.name,
                "model_sha": model.id,
                "base_model": target.base_model,
                "task": target.task,
                "model_type": {"classifier": classifier},
                "id2label": classifier["id2label"],
                "max_input_length": inputs.max_length,
                "features": [feature.model_dump() for feature in inputs.features],
                "max_client_batch_size": wire.MOST_ROWS,
                "version": settings.VERSION,
            }
        )

    async def _healthz(self, exchange: Exchange) -> None:
        await exchange.answer({"status": "ok", "models_loaded": len(self.shelf)})

    async def _metrics(self, exchange: Exchange) -> None:
        text = self.gauges.text(
            in_flight=self.in_flight,
            waiting_rows=self.batcher.waiting_rows,
            batches_total=self.batcher.batches,
            batch_rows_total=self.batcher.rows,
            models_loaded=len(self.shelf),
            models_bytes=self.shelf.size_bytes,
            model_loads_total=self.shelf.loads,
            unflushed_tokens=self.meter.unflushed_tokens,
            log_entries_dropped_total=self.meter.lost_logs,
        )
        await exchange.send(text.encode(), content_type="text/plain; version=0.0.4")

    async def caller(self, exchange: Exchange) -> Caller:
        """Who asks, with every right to. Raises Refusal (401, 403, 429)."""
        caller = await self.directory.caller(
            exchange.header("authorization"), exchange.header(passes.HEADER)
        )
        if Scope.INFERENCE not in caller.scopes:
            raise Refusal(
                403,
                "missing_scope",
                "This API token lacks the scope 'inference'. Create one that has it.",
            )
        if caller.is_frozen:
            raise Refusal(
                403,
                "team_frozen",
                "This team is on hold. Nothing new can run until an administrator lifts the hold.",
            )
        key = str(caller.token_id or caller.team_id)
        if wait := self.limit.wait_seconds(key):
            raise too_many_requests(wait)
        return caller

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.meter.flush()
            except Exception:  # One odd flush must not end the metering of this process.
                logger.exception("A flush of usage failed; it is repeated")


async def encode(model: LoadedModel, rows: list[Any]) -> Sequence[Any]:
    """Rows as the model reads them. Long requests are handed to a thread, for the tokenizer lets
    go of the GIL."""
    if sum(map(len, rows)) <= INLINE_CHARACTERS:
        return model.served.encode(rows)
    return await asyncio.to_thread(model.served.encode, rows)


def _model_object(target: Target) -> dict[str, Any]:
    return wire.model_object(target.name, int(target.created_at.timestamp()), "lathe")


def route_name(path: str) -> str:
    """The path for metrics: bounded, whatever callers send."""
    known = {"/v1/classify", *WRITING, "/v1/models", "/v1/info", "/healthz", "/metrics"}
    if path.startswith("/v1/models/"):
        return "/v1/models/{model}"
    return path if path in known else "other"
