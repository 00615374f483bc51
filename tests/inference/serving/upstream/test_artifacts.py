"""A stored LoRA artifact whose answers come from vLLM: what of it is fetched, and where it goes."""

import json
from pathlib import Path

import pytest

from inference import deployments
from inference.gateway.upstream import vllm
from inference.serving.upstream.vllm_models import load_upstream_model
from projects import storage
from tests.inference.serving.test_text_generation import write_artifact
from tests.inference.vllm_stand_in import BASE, VllmStandIn, serving
from training.models import TrainedModel

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
def lora(dataset_version, tmp_path, alice):
    """Deployed as "writer"; its adapter belongs to a base model of the catalog."""
    project = dataset_version.dataset.project
    model = TrainedModel(
        team=project.team, project=project, dataset_version=dataset_version, name="W",
        task="text-generation", base_model="SmolLM2-135M-Instruct", labels=[],
    )  # fmt: skip
    model.artifact_key = f"artifacts/{model.pk}"
    folder = write_artifact(tmp_path / "artifact")
    store(model, folder, BASE)
    model.save()
    return deployments.deploy(model, "writer", alice)


def store(model, folder, base):
    (folder / "adapter").mkdir(exist_ok=True)
    settings = {"base_model_name_or_path": base, "peft_type": "LORA"}
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    storage.put_folder(model.artifact_key, folder)


def test_the_adapter_goes_to_the_shared_folder_and_the_weights_stay_away(
    lora, token, team, with_models, settings, tmp_path
):
    stand_in = VllmStandIn()
    settings.VLLM_ADAPTERS_DIR = str(tmp_path / "shared")

    async def talk(client, app):
        body = {"model": "writer", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await client.post("/v1/chat/completions", json=body)
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"
        prompt = stand_in.asked[0]["prompt"]
        assert answer.json()["usage"]["prompt_tokens"] == len(prompt)
        upstream = app.services.model_cache._models[f"{lora.model_id}/prompts"].served
        said = upstream.prompts.tokenizer.decode(prompt)
        assert "Hello" in said
        assert (await client.get("/v1/info?model=writer")).json()["max_input_length"] == 128

    with serving(stand_in) as url:
        settings.VLLM_URLS = [url]
        vllm._servers_at.cache_clear()
        with_models(talk, token)
    shared = Path(settings.VLLM_ADAPTERS_DIR) / str(lora.model_id) / "adapter"
    assert (shared / "adapter_model.safetensors").read_bytes() == b"weights"
    assert (shared / "adapter_config.json").stat().st_mode & 0o044
    assert stand_in.adapters == {str(lora.model_id): str(shared)}
    kept = Path(settings.VAR_DIR) / "models" / f"{lora.model_id}.prompts"
    assert (kept / "tokenizer.json").exists()
    assert list(kept.rglob("*.safetensors")) == []


def test_an_adapter_of_another_fine_tuned_model_is_none_of_the_base(lora, tmp_path):
    model = lora.model
    known = load_upstream_model("a", model.artifact_key, model.base_model, tmp_path / "a")
    assert known.is_adapter
    other = f"model.safetensors of the model that training began from ({model.pk})"
    store(model, tmp_path / "artifact", other)
    known = load_upstream_model("b", model.artifact_key, model.base_model, tmp_path / "b")
    assert not known.is_adapter
