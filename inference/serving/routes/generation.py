"""One request for written answers: opened, written whole or as events, and metered."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from engine.errors import EngineError
from engine.tasks.generation.messages import Chat
from engine.tasks.generation.sampling import Sampling, TokenChunk
from engine.tasks.generation.writing.tool_calls import ToolCallReader, ToolRequest
from inference.models.request_log import MAX_LOGGED_CHARACTERS
from inference.serving.model_cache import LoadedModel
from inference.serving.principals import GENERATION_TASK, Principal, ServedDeployment, base_writer
from inference.serving.protocol import chat_answers
from inference.serving.protocol.body import JsonObject
from inference.serving.protocol.chat import GenerationRequest, prompt_text
from inference.serving.protocol.chat_answers import Choice, ResponseMetadata
from inference.serving.protocol.errors import ApiError, bad_request
from inference.serving.protocol.http import (
    CLIENT_CLOSED_REQUEST,
    EventStreamResponse,
    JsonResponse,
    event,
    info_of,
)
from inference.serving.services import Services
from inference.serving.upstream.vllm_writer import find_vllm_writer
from inference.serving.usage_counter import RequestRecord
from web.front.bodies import wait_for_disconnect

logger = logging.getLogger(__name__)

INTERNAL_ERROR_MESSAGE = "Something went wrong here. What was not written is not charged."
IndexedChunk = tuple[int, TokenChunk]  # The number of its choice, from 0 on.


class LanguageModel(Protocol):
    """What a served model of this task can do; see engine.tasks.generation.generator."""

    default_sampling: dict[str, float]

    def encode(self, rows: Sequence[Chat | str]) -> list[list[int]]: ...

    def stream_prompt(self, prompt: list[int], sampling: Sampling) -> Generator[TokenChunk]: ...

    def encode_with_tools(self, chat: Chat, request: ToolRequest) -> list[int]: ...

    def tool_call_reader(self, request: ToolRequest) -> ToolCallReader: ...

    def tool_call_schema(self, request: ToolRequest) -> dict[str, Any]: ...


async def answer(
    services: Services,
    request: Request,
    principal: Principal,
    payload: GenerationRequest,
    kind: "type[Generation]",
) -> Response:
    """The answer in the shape of this kind. Raises ApiError."""
    deployment = await services.lookups.get_deployment(principal, payload.model)
    deployment = deployment.for_request(info_of(request).id)
    if deployment.task != GENERATION_TASK:
        raise bad_request(f"{deployment.name} does not write: ask it at /v1/classify.", "model")
    if principal.asks_base:
        deployment = _base_of(deployment)
    await services.lookups.require_budget(principal)
    try:
        return await kind(services, request, principal, deployment, payload).respond()
    except ApiError as error:
        record = RequestRecord(error.status, payload.texts)
        services.log_request(request, principal, deployment, record)
        raise


def _base_of(deployment: ServedDeployment) -> ServedDeployment:
    base = base_writer(deployment.base_model)
    if base is None:
        raise bad_request(
            f"{deployment.base_model} is not on this machine to compare with.", "model"
        )
    return base


async def open_model(services: Services, deployment: ServedDeployment) -> LoadedModel:
    """Ready to answer, on a vLLM server or in this process. Raises ApiError."""
    models = services.model_cache
    is_writer = deployment.task == GENERATION_TASK
    if is_writer and (writer := await find_vllm_writer(services.vllm, models, deployment)):
        return writer
    if deployment.deployment_id is None:
        return await models.get_base_writer(deployment.name)
    return await models.get(deployment.model_id, deployment.artifact_key, deployment.checkpoint)


class Generation:
    """The answers of one request on their way; metered by what was read and written, also when
    they break off."""

    def __init__(
        self,
        services: Services,
        request: Request,
        principal: Principal,
        deployment: ServedDeployment,
        payload: GenerationRequest,
    ) -> None:
        self._services, self._request, self._payload = services, request, payload
        self._principal, self._deployment = principal, deployment
        self._metadata = ResponseMetadata(info_of(request).id, int(time.time()))
        self._prompt_tokens = 0
        self._choices = [
            Choice(number, prompt_text(prompt) if payload.echo else "")
            for number, prompt in enumerate(
                prompt for prompt in payload.prompts for _ in range(payload.n)
            )
        ]

    async def respond(self) -> Response:
        payload, deployment = self._payload, self._deployment
        model = await open_model(self._services, deployment)
        self._payload = payload = payload.with_defaults(model.served.default_sampling)
        try:
            sources = await asyncio.to_thread(self._open_sources, model.served)
        except EngineError as error:
            raise bad_request(error.sentence, _param_of(payload, error)) from error
        chunks = self._services.generation_threads.stream(
            _in_turn(sources), wait_for_disconnect(self._request.receive), self._principal.team_id
        )
        headers = {"x-lathe-model": model.id}
        if not payload.is_stream:
            return JsonResponse(await self._complete(chunks), headers=headers)
        events = self._events(chunks)
        # A refusal must come before the answer begins, so the first event is awaited here.
        return EventStreamResponse(await anext(events), events, headers)

    def _open_sources(self, served: LanguageModel) -> list[Generator[TokenChunk]]:
        """One for each choice; nothing is written yet. Raises EngineError."""
        payload = self._payload
        if payload.uses_tools:
            return self._open_tool_sources(served)
        prompts = [
            prompt if _is_token_list(prompt) else served.encode([prompt])[0]  # type: ignore[list-item]
            for prompt in payload.prompts
        ]
        self._prompt_tokens = sum(map(len, prompts))
        return [
            served.stream_prompt(prompts[number // payload.n], payload.sampling_of(number))  # type: ignore[arg-type]
            for number in range(len(self._choices))
        ]

    def _open_tool_sources(self, served: LanguageModel) -> list[Generator[TokenChunk]]:
        """The same for a chat with functions, whose calls are told apart from text."""
        payload, tools = self._payload, self._payload.tools
        prompt = served.encode_with_tools(payload.prompt, tools)  # type: ignore[arg-type]
        self._prompt_tokens = len(prompt)
        schema = served.tool_call_schema(tools) if tools.forced else payload.sampling.json_schema
        sources = []
        for choice in self._choices:
            choice.reader = served.tool_call_reader(tools) if tools.tools else None
            sampling = replace(payload.sampling_of(choice.index), json_schema=schema)
            sources.append(served.stream_prompt(prompt, sampling))
        return sources

    async def _complete(self, chunks: AsyncGenerator[IndexedChunk]) -> JsonObject:
        async with aclosing(chunks):  # At once, whatever happens: only that ends the writing.
            try:
                async for index, chunk in chunks:
                    self._append(index, chunk)
            except (ClientDisconnect, asyncio.CancelledError):
                self._record_usage(CLIENT_CLOSED_REQUEST)
                raise
        self._record_usage(200)
        return self.whole_answer()

    async def _events(self, chunks: AsyncGenerator[IndexedChunk]) -> AsyncGenerator[bytes]:
        is_first, failure = True, None
        async with aclosing(chunks):
            try:
                async for index, chunk in chunks:
                    choice, delta = self._append(index, chunk)
                    for part in self.chunk_events(choice, delta):
                        yield part
                    is_first = False
            except (ClientDisconnect, asyncio.CancelledError, GeneratorExit):
                self._record_usage(CLIENT_CLOSED_REQUEST)
                raise
            except Exception as error:
                if is_first:
                    raise
                # The answer has begun: the error can only be part of it.
                logger.exception("Request %s broke off", self._metadata.id)
                failure = error if isinstance(error, ApiError) else _internal_error()
        self._record_usage(200)
        if failure:
            yield b"data: " + failure.body() + b"\n\n"
        for part in self.last_events():
            yield part

    def whole_answer(self) -> JsonObject:
        return chat_answers.completion_response(
            self._payload, self._metadata, self._choices, self._tokens
        )

    def chunk_events(self, choice: Choice, chunk: TokenChunk) -> Iterator[bytes]:
        """What the stream says of one more chunk."""
        yield event(
            chat_answers.completion_chunk(
                self._payload,
                self._metadata,
                choice,
                chunk.text,
                choice.finish_reason if chunk.finish_reason else None,
                chunk.logprobs,
            )
        )

    def last_events(self) -> Iterator[bytes]:
        """What the stream ends with."""
        if self._payload.include_usage:
            yield event(chat_answers.usage_chunk(self._payload, self._metadata, self._tokens))
        yield b"data: [DONE]\n\n"

    @property
    def _tokens(self) -> tuple[int, int]:
        """The prompts' and the answers'."""
        return self._prompt_tokens, sum(choice.tokens for choice in self._choices)

    def _append(self, index: int, chunk: TokenChunk) -> tuple[Choice, TokenChunk]:
        """The choice with what is new of it, and that without what belongs to calls."""
        choice = self._choices[index]
        text: str = chunk.text
        reason: str | None = chunk.finish_reason
        if choice.reader is not None:
            text = choice.reader.feed(text) + (choice.reader.finish() if reason else "")
            if choice.calls and reason == "stop":
                reason = "tool_calls"
        choice.text_parts.append(text)
        choice.logprobs += chunk.logprobs
        choice.tokens = chunk.tokens
        choice.finish_reason = reason or choice.finish_reason
        return choice, replace(chunk, text=text)

    def _record_usage(self, status: int) -> None:
        """Count what was read and written. Before the first token nothing has been used."""
        tokens = sum(self._tokens) if self._tokens[1] else 0
        if tokens:
            self._services.record_usage(self._principal, self._deployment, tokens)
        text = "\n".join(choice.text for choice in self._choices)
        answer = text[:MAX_LOGGED_CHARACTERS].replace("\0", "")
        record = RequestRecord(
            status, self._payload.texts, tokens, [answer], asked=self._payload.asked
        )
        self._services.log_request(self._request, self._principal, self._deployment, record)


def _internal_error() -> ApiError:
    return ApiError(500, "internal_error", INTERNAL_ERROR_MESSAGE)


def _in_turn(sources: list[Generator[TokenChunk]]) -> Generator[IndexedChunk]:
    """All choices of a request, one after the other in one thread: a request for many answers
    takes no more of the machine at a time than a request for one."""
    for index, source in enumerate(sources):
        with closing(source):
            for chunk in source:
                yield index, chunk


def _is_token_list(prompt: object) -> bool:
    return isinstance(prompt, list) and isinstance(prompt[0], int)


def _param_of(payload: GenerationRequest, error: EngineError) -> str:
    named = {"bad_schema": "response_format", "bad_bias": "logit_bias", "no_tools": "tools"}
    if payload.tools.forced and getattr(error, "detail", "") == "bad_schema":
        return "tools"
    return named.get(getattr(error, "detail", ""), payload.prompt_param)
