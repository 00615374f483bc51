"""Answers of language models: made in threads token by token, sent whole or as events."""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from django.conf import settings

from engine.errors import EngineError
from engine.generation.options import Piece
from inference.server import chat_wire
from inference.server.chat_wire import Facts, Question
from inference.server.directory import Caller, Target
from inference.server.exchange import ClientLeft, Exchange
from inference.server.refusals import Refusal, bad_request, out_of_quota, overloaded

if TYPE_CHECKING:
    from inference.server.app import ModelsApp

logger = logging.getLogger(__name__)

TASK = "text-generation"
MOST_WAITING = 32  # Answers begun or waiting for a thread.
CLIENT_LEFT = 499  # Never sent, for there is nobody to send it to; as nginx logs it.
SORRY = "Something went wrong here. What was not written is not charged."


class Writers:
    """Threads in which answers are made, each answer in one of them."""

    def __init__(self, threads: int) -> None:
        self.waiting = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="writer")

    async def pieces(
        self, source: Iterator[Piece], client_left: Coroutine[Any, Any, None]
    ) -> AsyncGenerator[Piece]:
        """What the source yields, as it comes. Raises Refusal (503) when too many wait, and
        ClientLeft when `client_left` returns; then the source is asked for nothing more.
        """
        if self.waiting >= MOST_WAITING:
            client_left.close()
            raise overloaded()
        loop, left = asyncio.get_running_loop(), threading.Event()
        queue: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()

        def put(item: Piece | BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has closed: nobody waits.
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def write() -> None:
            try:
                for piece in () if left.is_set() else source:
                    put(piece)
                    if left.is_set():
                        return
                put(None)
            except BaseException as error:  # noqa: BLE001  Raised again where it is awaited.
                put(error)

        client = loop.create_task(client_left)
        client.add_done_callback(lambda _: queue.put_nowait(ClientLeft()))
        self.waiting += 1
        try:
            self._threads.submit(write)
            while (item := await queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            client.cancel()
            left.set()
            self.waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


class Writing:
    """The two routes that write text."""

    def __init__(self, app: "ModelsApp") -> None:
        self._app = app
        self.writers = Writers(settings.MODELS_LANES)

    async def chat(self, exchange: Exchange) -> None:
        await self._route(exchange, is_chat=True)

    async def completion(self, exchange: Exchange) -> None:
        await self._route(exchange, is_chat=False)

    async def _route(self, exchange: Exchange, *, is_chat: bool) -> None:
        app = self._app
        exchange.id = exchange.id.replace("classify", "chatcmpl" if is_chat else "cmpl")
        caller = await app.caller(exchange)
        body = await exchange.body(settings.MODELS_MAX_BODY_BYTES)
        question = chat_wire.read_question(body, is_chat=is_chat)
        target = await app.directory.target(caller.team_id, question.model)
        if target.task != TASK:
            raise bad_request(f"{target.name} does not write: ask it at /v1/classify.", "model")
        if not await app.directory.may_spend(caller.team_id):
            raise out_of_quota()
        answer = _Answer(self, exchange, caller, target, question)
        try:
            await answer.give()
        except Refusal as refusal:
            app.log(exchange, caller, target, status=refusal.status, texts=question.texts)
            raise

    @property
    def app(self) -> "ModelsApp":
        return self._app


class _Answer:
    """One answer on its way."""

    def __init__(
        self,
        writing: Writing,
        exchange: Exchange,
        caller: Caller,
        target: Target,
        question: Question,
    ) -> None:
        self._writing, self._exchange, self._question = writing, exchange, question
        self._caller, self._target = caller, target
        self._facts = Facts(exchange.id, int(time.time()))
        self._prompt_tokens = self._tokens = 0
        self._said: list[str] = []
        self._status = 200

    async def give(self) -> None:
        """Whole or as a stream; metered by what was read and written, also when it breaks off."""
        app, question = self._writing.app, self._question
        model = await app.shelf.get(self._target.model_id, self._target.artifact_key)
        self._exchange.answer_headers["x-lathe-model"] = model.id
        served: Any = model.served
        try:
            (prompt,) = await asyncio.to_thread(served.encode, [question.row])
            source = served.write(prompt, question.sampling)
        except EngineError as error:
            param = "messages" if question.is_chat else "prompt"
            raise bad_request(error.sentence, param) from error
        self._prompt_tokens = len(prompt)
        writing = self._writing.writers.pieces(source, self._exchange.left())
        # Closed at once whatever happens: only that ends what nobody reads any more.
        async with contextlib.aclosing(writing) as pieces:
            try:
                await (self._stream(pieces) if question.is_stream else self._whole(pieces))
            except (ClientLeft, asyncio.CancelledError):
                self._status = self._exchange.status = CLIENT_LEFT
                self._count()
                raise

    async def _whole(self, pieces: AsyncGenerator[Piece]) -> None:
        reason = "length"
        async for piece in pieces:
            self._note(piece)
            reason = piece.finish_reason or reason
        self._count()
        tokens = (self._prompt_tokens, self._tokens)
        await self._exchange.answer(
            chat_wire.whole_answer(self._question, self._facts, "".join(self._said), reason, tokens)
        )

    async def _stream(self, pieces: AsyncGenerator[Piece]) -> None:
        exchange, question, is_first = self._exchange, self._question, True
        first = await anext(pieces)  # A refusal must come before the answer begins.
        await exchange.begin_events()
        try:
            async for piece in _joined(first, pieces):
                self._note(piece)
                said = chat_wire.chunk(
                    question, self._facts, piece.text, piece.finish_reason, is_first=is_first
                )
                await exchange.event(json.dumps(said, ensure_ascii=False))
                is_first = False
        except ClientLeft:
            raise
        except Exception:  # The answer has begun: it can only be said inside it.
            logger.exception("Request %s broke off", exchange.id)
            refusal = Refusal(500, "internal_error", SORRY)
            await exchange.event(refusal.body().decode())
        self._count()
        if question.wants_usage:
            tokens = (self._prompt_tokens, self._tokens)
            last = chat_wire.usage_chunk(question, self._facts, tokens)
            await exchange.event(json.dumps(last))
        await exchange.event("[DONE]", is_last=True)

    def _note(self, piece: Piece) -> None:
        self._said.append(piece.text)
        self._tokens = piece.tokens

    def _count(self) -> None:
        """What was read and written is used; without an answer begun, nothing is."""
        app, tokens = self._writing.app, 0
        if self._tokens:
            tokens = self._prompt_tokens + self._tokens
            app.meter.count(self._caller, self._target, tokens)
            app.gauges.tokens += tokens
        app.log(
            self._exchange,
            self._caller,
            self._target,
            status=self._status,
            texts=self._question.texts,
            tokens=tokens,
            answers=["".join(self._said)[:500].replace("\0", "")],
        )


async def _joined(first: Piece, rest: AsyncGenerator[Piece]) -> AsyncIterator[Piece]:
    yield first
    async for piece in rest:
        yield piece
