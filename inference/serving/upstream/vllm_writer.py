"""Answers of a language model from vLLM: the prompt's tokens are made here, as training made them,
and the server writes on."""

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from engine.artifact import Manifest
from engine.catalog import CATALOG
from engine.tasks.generation.messages import Chat
from engine.tasks.generation.sampling import FinishReason, Sampling, TokenChunk, TokenLogprob
from engine.tasks.generation.writing.tool_calls import ToolCallReader, ToolRequest
from inference.gateway.upstream.vllm import (
    AdapterRefused,
    VllmAway,
    VllmBrokeOff,
    VllmError,
    VllmRefused,
)
from inference.serving.model_cache import LoadedModel, ModelCache
from inference.serving.principals import ServedDeployment
from inference.serving.protocol.errors import ApiError, bad_request, service_unavailable
from inference.serving.upstream.vllm_models import UpstreamModel, VllmModels

logger = logging.getLogger(__name__)

TOKEN_ID = "token_id:"
LOWEST_LOGPROB = -9999.0  # As OpenAI's documentation has it.
REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True)
class VllmWriter:
    """A LanguageModel of inference.serving.routes.generation."""

    models: VllmModels
    model: UpstreamModel

    @property
    def labels(self) -> list[str]:
        return []  # It writes.

    @property
    def manifest(self) -> Manifest | None:
        return self.model.manifest

    @property
    def default_sampling(self) -> dict[str, float]:
        return self.model.prompts.default_sampling

    def encode(self, rows: Any) -> list[list[int]]:
        return self.model.prompts.encode(rows)

    def encode_with_tools(self, chat: Chat, request: ToolRequest) -> list[int]:
        return self.model.prompts.encode_with_tools(chat, request)

    def tool_call_reader(self, request: ToolRequest) -> ToolCallReader:
        return self.model.prompts.tool_call_reader(request)

    def tool_call_schema(self, request: ToolRequest) -> dict[str, Any]:
        return self.model.prompts.tool_call_schema(request)

    def stream_prompt(self, prompt: list[int], sampling: Sampling) -> Generator[TokenChunk]:
        """Raises BadTrainingData at once for a prompt that is too long; ApiError later."""
        most = self.model.prompts.max_new_tokens(len(prompt), sampling)
        return self._write(self._body(prompt, sampling, most), sampling)

    def _body(self, prompt: list[int], sampling: Sampling, most: int) -> dict[str, object]:
        """What is left out would be what the server's own configuration says."""
        body: dict[str, object] = {
            "prompt": prompt,
            "max_tokens": most,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "stop_token_ids": list(self.model.prompts.stop_token_ids),
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.logit_bias:
            body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
        if sampling.json_schema is not None:
            schema = sampling.json_schema if isinstance(sampling.json_schema, dict) else {}
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema},
            }
        if sampling.top_logprobs is not None:
            body |= {"logprobs": sampling.top_logprobs, "return_tokens_as_token_ids": True}
        return body

    def _write(self, body: dict[str, object], sampling: Sampling) -> Generator[TokenChunk]:
        """Ask one server after another until one begins to answer. Raises ApiError."""
        failure: VllmError = VllmAway("no server")
        for server in self.models.choose(self.model):
            tries = 2  # An adapter may have been unloaded by another process meanwhile.
            while tries:
                tries -= 1
                try:
                    name = self.models.name_at(server, self.model)
                    self.models.requests += 1
                    with closing(server.complete(body | {"model": name})) as events:
                        yield from self._read(events, sampling)
                    return
                except VllmRefused as refusal:
                    failure = refusal
                    if refusal.status != 404:
                        raise _error_of(refusal) from refusal
                    server.refresh(at_once=True)
                except VllmAway as away:
                    failure, tries = away, 0
                except AdapterRefused as refusal:
                    logger.error("vLLM at %s: %s", server.url, refusal)
                    failure, tries = refusal, 0
                except VllmBrokeOff as problem:
                    raise _error_of(problem) from problem
        raise _error_of(failure) from failure

    def _read(self, events: Iterator[dict[str, Any]], sampling: Sampling) -> Iterator[TokenChunk]:
        """The last event says how many tokens there were, so the end is told after it."""
        tokens, reason = 0, None
        for told in events:
            usage = told.get("usage") or {}
            choice: dict[str, Any] = next(iter(told.get("choices") or []), {})
            logprobs = self._logprobs(choice.get("logprobs"), sampling.top_logprobs)
            reason = choice.get("finish_reason") or reason
            text = choice.get("text") or ""
            # A server that tells its count at the end only: no part has less than one token.
            tokens = usage.get("completion_tokens") or tokens + bool(text)
            if text or logprobs:
                yield TokenChunk(text, tokens, logprobs=logprobs)
        if reason not in REASONS:
            raise VllmBrokeOff(f"the answer ended with {reason!r}")
        yield TokenChunk("", tokens, REASONS[reason])

    def _logprobs(self, told: dict[str, Any] | None, top: int | None) -> tuple[TokenLogprob, ...]:
        if told is None or top is None:
            return ()
        likeliest: list[Any] = told.get("top_logprobs") or [None] * len(told["tokens"])
        found = []
        for token, logprob, others in zip(
            told["tokens"], told["token_logprobs"], likeliest, strict=True
        ):
            ranked = sorted((others or {}).items(), key=lambda pair: -pair[1])[:top]
            chosen = self._named(token, logprob)
            named = tuple(self._named(other, value) for other, value in ranked)
            found.append(TokenLogprob(chosen.text, chosen.content, chosen.logprob, named))
        return tuple(found)

    def _named(self, token: str, logprob: float | None) -> TokenLogprob:
        """vLLM tells ids here, because the text of a part of a character would be lost."""
        from engine.tasks.generation.writing.token_choice import token_bytes  # It loads torch.

        content = token.encode()
        if token.startswith(TOKEN_ID):
            tokenizer = self.model.prompts.tokenizer
            content = token_bytes(tokenizer, int(token.removeprefix(TOKEN_ID)))
        value = LOWEST_LOGPROB if logprob is None else max(logprob, LOWEST_LOGPROB)
        return TokenLogprob(content.decode("utf-8", "replace"), content, value)


async def find_vllm_writer(
    models: VllmModels, cache: ModelCache, deployment: ServedDeployment
) -> LoadedModel | None:
    """None: it is answered in this process. Checkpoints are, because no server can load them.

    Raises ApiError (503) while a server that never said what it serves does not answer: the model
    may be meant for it, and too large for this process.
    """
    if not len(models) or deployment.checkpoint is not None:
        return None
    await models.refresh()
    model_id = deployment.model_id
    if models.may_answer(model_id, CATALOG.get(deployment.base_model)):
        known = await cache.get_upstream_model(
            model_id, deployment.artifact_key, deployment.base_model
        )
        if models.answers(known.served):
            return LoadedModel(model_id, VllmWriter(models, known.served), 0)
    if models.has_strangers:
        raise _error_of(VllmAway("a server has never answered"))
    return None


def _error_of(problem: VllmError) -> ApiError:
    if isinstance(problem, VllmRefused) and problem.status in (400, 413, 422):
        return bad_request(f"The model's server refused this request: {problem.sentence}")
    if isinstance(problem, VllmRefused) and problem.status in (429, 503):
        return ApiError(
            503,
            "overloaded",
            "The server of this model has too much to do. Try again in a moment.",
            headers={"retry-after": "1"},
        )
    if isinstance(problem, VllmBrokeOff):
        return ApiError(
            502,
            "bad_gateway",
            "The server of this model did not give a whole answer. Try again in a moment.",
            headers={"retry-after": "1"},
        )
    return service_unavailable(
        "The server of this model does not answer at the moment. Try again in a few seconds.",
        retry_after_seconds=5,
    )
