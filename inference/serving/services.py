"""What the routes of the models process work with, and what each of them does first and last."""

from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from starlette.requests import Request

from accounts.models import TokenScope
from inference.gateway import internal_token
from inference.gateway.upstream.vllm import vllm_servers
from inference.serving.answer_cache import AnswerCache
from inference.serving.db_executor import DatabaseExecutor
from inference.serving.dynamic_batching import DynamicBatcher
from inference.serving.generation_threads import GenerationThreads
from inference.serving.lookups import CachedLookups
from inference.serving.model_cache import ModelCache
from inference.serving.principals import Principal, ServedDeployment
from inference.serving.prometheus import Metrics
from inference.serving.protocol.errors import ApiError, too_many_requests
from inference.serving.protocol.http import info_of
from inference.serving.rate_limit import RateLimiter
from inference.serving.routes.shadows import Shadows
from inference.serving.upstream.vllm_models import VllmModels
from inference.serving.usage_counter import RequestRecord, UsageCounter


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the process does."""

    db_executor: DatabaseExecutor
    lookups: CachedLookups
    usage_counter: UsageCounter
    model_cache: ModelCache
    batcher: DynamicBatcher
    generation_threads: GenerationThreads
    rate_limiter: RateLimiter
    answer_cache: AnswerCache
    vllm: VllmModels
    shadows: Shadows = field(default_factory=Shadows)
    metrics: Metrics = field(default_factory=Metrics)

    @classmethod
    def from_settings(cls) -> "Services":
        db_executor = DatabaseExecutor()
        per_second = settings.INFERENCE_REQUESTS_PER_SECOND
        return cls(
            db_executor=db_executor,
            lookups=CachedLookups(db_executor),
            usage_counter=UsageCounter(db_executor),
            model_cache=ModelCache(Path(settings.VAR_DIR) / "models", settings.MODELS_MEMORY_BYTES),
            batcher=DynamicBatcher(settings.MODELS_LANES),
            generation_threads=GenerationThreads(),
            rate_limiter=RateLimiter(per_second, per_second * 2),
            answer_cache=AnswerCache(settings.ANSWER_CACHE_ENTRIES),
            vllm=VllmModels(
                vllm_servers(), Path(settings.VLLM_ADAPTERS_DIR), settings.VLLM_MAX_ADAPTERS
            ),
        )

    async def close(self) -> None:
        """Write the last usage, then end every thread and connection."""
        await self.shadows.finish()
        await self.usage_counter.flush()
        await self.lookups.close()
        self.batcher.close()
        self.generation_threads.close()
        self.model_cache.close()
        await self.db_executor.close()

    async def authenticate(
        self, request: Request, scope: TokenScope = TokenScope.INFERENCE
    ) -> Principal:
        """Who sent the request, allowed to do so now. Raises ApiError (401, 403, 429)."""
        principal = await self.lookups.authenticate(
            request.headers.get("authorization", ""),
            request.headers.get(internal_token.HEADER, ""),
        )
        if scope not in principal.scopes:
            raise ApiError(
                403,
                "missing_scope",
                f"This API token lacks the scope '{scope}', or whoever created it may not spend any"
                " more. Create one that has it.",
            )
        if principal.is_suspended:
            raise ApiError(
                403,
                "team_frozen",
                "This team is suspended. Nothing new can run until an administrator lifts the"
                " suspension.",
            )
        if principal.is_batch or principal.source is not None:
            return principal  # An assistant limits each of its visitors itself.
        caller, limiter = str(principal.token_id or principal.team_id), self.rate_limiter
        limit = limiter.limit_of(principal.requests_per_minute)
        wait = limiter.wait_seconds(caller, limit)
        info_of(request).headers += limiter.limit_headers(caller, limit)
        if wait:
            raise too_many_requests(wait)
        return principal

    def record_usage(self, principal: Principal, deployment: ServedDeployment, tokens: int) -> None:
        """Count an answered request for billing and for the metrics."""
        self.usage_counter.add_request(principal, deployment, tokens)
        self.metrics.tokens.inc(tokens)

    def log_request(
        self,
        request: Request,
        principal: Principal,
        deployment: ServedDeployment,
        record: RequestRecord,
    ) -> None:
        """Add the request to the sampled log, unless its deployment has had its share."""
        if self.usage_counter.should_log(deployment):
            info = info_of(request)
            entry = record.as_log_entry(principal, deployment, info.id, info.seconds)
            self.usage_counter.add_log_entry(deployment, entry)
