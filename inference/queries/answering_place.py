"""Where a language model is answered: on a vLLM server, or by the models processes."""

from django.conf import settings

from engine.catalog import CATALOG
from inference.models import Deployment

ADAPTER_CONFIG = "adapter/adapter_config.json"  # Of an artifact.


def may_be_upstream(deployment: Deployment) -> bool:
    """Whether the question arises; asks nobody."""
    return bool(settings.VLLM_URLS) and deployment.model.task == "text-generation"


def read_answering_place(deployment: Deployment) -> str:
    """ "vllm"; "vllm-away" while none of its servers answers; "unknown" while a server never said
    what it serves; "models": by the models processes. As inference.serving.upstream decides."""
    from inference.gateway.upstream.vllm import vllm_servers  # It takes httpx along.

    model, servers = deployment.model, vllm_servers()
    for server in servers:
        server.refresh()
    job = getattr(model, "job", None)
    has_adapter = ADAPTER_CONFIG in (model.manifest or {}).get("files", {})
    is_adapter = has_adapter and (job is None or job.initial_model_id is None)
    base = CATALOG.get(model.base_model)
    offering = [
        server
        for server in servers
        if server.served is not None
        and server.served.has(str(model.pk), base, is_adapter=is_adapter)
        and deployment.checkpoint_id is None
    ]
    if any(not server.is_away for server in offering):
        return "vllm"
    if offering:
        return "vllm-away"
    has_strangers = any(server.served is None for server in servers)
    return "unknown" if has_strangers and deployment.checkpoint_id is None else "models"
