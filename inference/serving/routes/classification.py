"""The route /v1/classify: answers of classifiers and regressors, batched and metered."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.conf import settings
from starlette.requests import Request

from engine.errors import EngineError
from inference.serving.model_cache import LoadedModel
from inference.serving.principals import GENERATION_TASK, OtherModel, Principal, ServedDeployment
from inference.serving.protocol import classify as protocol
from inference.serving.protocol.classify import ClassifyRequest, ClassifyResult
from inference.serving.protocol.classify_rows import ReadRows, read_rows
from inference.serving.protocol.errors import ApiError, bad_request
from inference.serving.protocol.http import JsonResponse, info_of, read_body
from inference.serving.routes.encoding import compute_unless_known, encode_rows
from inference.serving.services import Services
from inference.serving.usage_counter import RequestRecord

MAX_LOGGED_ANSWERS = 5


@dataclass(eq=False)
class ClassificationRoutes:
    _services: Services

    async def classify(self, request: Request) -> JsonResponse:
        services = self._services
        principal = await services.authenticate(request)
        body = await read_body(request, settings.MODELS_MAX_BODY_BYTES)
        payload = protocol.parse_classify_request(body, request.query_params.get("model", ""))
        deployment = await services.lookups.get_deployment(principal, payload.model)
        deployment = deployment.for_request(info_of(request).id)
        if deployment.task == GENERATION_TASK:
            raise bad_request(f"{deployment.name} writes: ask it at /v1/chat/completions.", "model")
        try:
            return await self._answer(request, principal, deployment, payload)
        except Exception as error:
            status = error.status if isinstance(error, ApiError) else 500
            services.log_request(
                request, principal, deployment, RequestRecord(status, payload.texts)
            )
            raise

    async def _answer(
        self,
        request: Request,
        principal: Principal,
        deployment: ServedDeployment,
        payload: ClassifyRequest,
    ) -> JsonResponse:
        services = self._services
        await services.lookups.require_budget(principal)
        model = await services.model_cache.get(deployment.model_id, deployment.artifact_key)
        result, tokens = await self._predict(model, payload)
        content = (
            protocol.hugging_face_response(result)
            if payload.is_hugging_face
            else protocol.vllm_response(
                result, request_id=info_of(request).id, created=int(time.time()), tokens=tokens
            )
        )
        response = JsonResponse(content, headers={"x-lathe-model": model.id})
        services.record_usage(principal, deployment, tokens)
        single_row = payload.rows[0] if len(payload.rows) == 1 else None
        record = RequestRecord(200, payload.texts, tokens, _said(result), asked=single_row)
        if deployment.shadow is None:
            services.log_request(request, principal, deployment, record)
        else:
            services.shadows.start(
                lambda: self._ask_shadow(payload, deployment.shadow),
                lambda shadow: services.log_request(
                    request, principal, deployment, replace(record, shadow=shadow)
                ),
            )
        return response

    async def _ask_shadow(self, payload: ClassifyRequest, shadow: OtherModel | None) -> list[str]:
        """What another model answers to the same rows; nobody pays for it."""
        assert shadow is not None
        model = await self._services.model_cache.get(shadow.model_id, shadow.artifact_key)
        result, _ = await self._predict(model, payload)
        return _said(result)

    async def _predict(
        self, model: LoadedModel, payload: ClassifyRequest
    ) -> tuple[ClassifyResult, int]:
        """The scores, and how many tokens were read for them. Raises ApiError (400)."""
        import numpy as np

        served = model.served
        inputs, target = served.manifest.inputs, served.manifest.target
        read = read_rows(payload.rows, inputs, payload.param, is_list=payload.is_list)
        try:
            outputs, tokens = await self._outputs(model, read)
        except EngineError:
            await _set_aside_unreadable(model, read, payload)
            outputs, tokens = await self._outputs(model, read)
        scores = protocol.compute_scores(payload, target, np.stack(outputs))
        problems, notes = read.problems, read.notes
        result = ClassifyResult(payload, served.labels, scores, target, problems, notes)
        return result, sum(tokens)

    async def _outputs(self, model: LoadedModel, read: ReadRows) -> tuple[list[Any], list[int]]:
        """Outputs and tokens of the rows without a problem. Raises the first row's where every
        row has one, and EngineError for a row that the model cannot read."""
        if not read.rows:
            raise read.problems[min(read.problems)]
        rows: list[Any] = list(read.rows.values())
        is_text = model.served.manifest.inputs.kind == "text"
        compute = partial(self._compute, model)
        if not is_text:
            return await compute(rows)
        return await compute_unless_known(self._services.answer_cache, model.id, rows, compute)

    async def _compute(
        self, model: LoadedModel, rows: Sequence[Any]
    ) -> tuple[list[Any], list[int]]:
        """Outputs and tokens of each row. Raises EngineError for one that cannot be read."""
        served = model.served
        encoded = await encode_rows(model, rows)
        tokens = served.token_counts(encoded)
        # Only texts differ in what they cost: the rest may share any batch.
        lengths = tokens if served.manifest.inputs.kind == "text" else [1] * len(tokens)
        outputs = await self._services.batcher.predict(model.id, served.outputs, encoded, lengths)
        return list(outputs), list(tokens)


def _said(result: ClassifyResult) -> list[str]:
    """The first rows' labels as the log keeps them; nothing for a row with a problem."""
    labels = [
        ", ".join(protocol.predicted_labels(result, scores))
        for scores in result.scores[:MAX_LOGGED_ANSWERS].tolist()
    ]
    for position in sorted(result.problems):
        labels.insert(position, "")
    return labels


async def _set_aside_unreadable(
    model: LoadedModel, read: ReadRows, payload: ClassifyRequest
) -> None:
    """Moves each row that the model cannot read to the problems."""
    for position, row in list(read.rows.items()):
        try:
            await encode_rows(model, [row])
        except EngineError as error:
            place = f"{payload.param}[{position}]" if payload.is_list else payload.param
            read.problems[position] = bad_request(error.sentence, place)
            del read.rows[position]
